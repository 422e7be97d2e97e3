import { styleText } from 'node:util';

/** Where text goes: a terminal, a pipe, or a test. */
export interface Sink {
  write(text: string): void;
  /** Ends once the reader has taken what it left waiting, or the command is cancelled; undefined while it keeps up. */
  drained?(): Promise<void> | undefined;
  readonly isTerminal: boolean;
  /** Characters a line. */
  readonly columns: number;
  readonly color: boolean;
}

/** The two ways out, and what the terminal behind them can show. */
export interface Terminal {
  /** Results only. */
  readonly out: Sink;
  /** Progress, warnings, errors, questions. */
  readonly error: Sink;
  /** Whether characters beyond ASCII can be shown. */
  readonly unicode: boolean;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' | 'magenta' | 'blue';

export function paint(sink: Pick<Sink, 'color'>, style: Style | readonly Style[], text: string): string {
  return sink.color && text !== ''
    ? styleText(typeof style === 'string' ? style : [...style], text, { validateStream: false })
    : text;
}

/** https://no-color.org, then `FORCE_COLOR`, then whether somebody looks. */
export function wantsColor(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  if (environment['NO_COLOR']) return false;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && environment['TERM'] !== 'dumb';
}

/** POSIX says it in the locale; of Windows terminals, the modern ones say who they are. */
export function showsUnicode(environment: Readonly<Record<string, string | undefined>>, platform: string): boolean {
  if (platform === 'win32')
    return Boolean(environment['WT_SESSION'] || environment['TERM_PROGRAM'] || environment['TERM']);
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return platform === 'darwin' && locale === '' ? true : /utf-?8/i.test(locale);
}

const SYMBOLS = {
  unicode: {
    done: '✓',
    failed: '✗',
    warning: '!',
    notice: 'i',
    ellipsis: '…',
    bar: '│',
    spinner: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
  },
  ascii: {
    done: '+',
    failed: 'x',
    warning: '!',
    notice: 'i',
    ellipsis: '...',
    bar: '|',
    spinner: ['|', '/', '-', '\\'],
  },
} as const;

export function symbols(unicode: boolean): (typeof SYMBOLS)['unicode' | 'ascii'] {
  return unicode ? SYMBOLS.unicode : SYMBOLS.ascii;
}
