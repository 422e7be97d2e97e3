import type { OnProgress, ProgressEvent, Stage } from '../contract/event.ts';
import { renderProblem } from './failure.ts';
import { printable, printableLog } from './printable.ts';
import type { fit as fitWide } from './table.ts';
import { paint, symbols, type Terminal } from './terminal.ts';

export interface ProgressDisplay {
  readonly onProgress: OnProgress;
  /** Writes a line between the progress, such as a warning. */
  line(text: string): void;
  /** Takes the moving line away; before results, errors and questions. */
  close(): void;
}

export interface ProgressWishes {
  /** Every line that tools print, not only those of the scoring script. */
  readonly verbose: boolean;
  readonly now: () => number;
}

const FRAME_MS = 100;
/** Of which each character is one column wide. */
const PLAIN = /^[\x20-\x7e]*$/;

/** Stages as lines that stay, and below them, at a terminal, one that moves; elsewhere plain lines only. */
export function openProgress(terminal: Terminal, wishes: ProgressWishes): ProgressDisplay {
  const live = terminal.error.isTerminal ? new LiveLine(terminal, wishes.now) : undefined;
  const write = (text: string) => {
    if (live) live.above(text);
    else terminal.error.write(`${text}\n`);
  };
  const started = new Map<Stage, { label: string; at: number }>();
  const isShown = (stage: Stage) => [...started.keys()].at(-1) === stage;
  const end = (stage: Stage) => {
    const start = started.get(stage);
    started.delete(stage);
    live?.hide();
    return start;
  };
  /** Stages may run beside each other. */
  const showOthers = () => {
    const other = [...started.values()].at(-1);
    if (other) live?.show(other.label, other.at);
  };
  const onProgress: OnProgress = (event) => {
    switch (event.type) {
      case 'start':
        started.set(event.stage, { label: event.label, at: wishes.now() });
        if (live) live.show(event.label);
        else write(`${printable(event.label, terminal.unicode)} ${symbols(terminal.unicode).ellipsis}`);
        return;
      case 'progress':
        if (isShown(event.stage)) live?.detail(describeProgress(event));
        return;
      case 'done': {
        const start = end(event.stage);
        write(doneLine(terminal, start?.label ?? event.stage, event, start && wishes.now() - start.at));
        return showOthers();
      }
      case 'failed': {
        const label = printable(end(event.stage)?.label ?? event.stage, terminal.unicode);
        write(`${paint(terminal.error, 'red', symbols(terminal.unicode).failed)} ${label}`);
        return showOthers();
      }
      case 'log':
        // The last line explains the wait; the others are for those who ask. What fails brings its own lines.
        if (wishes.verbose) return write(logLine(terminal, event));
        return live?.detail(event.line);
      case 'problem':
        return write(renderProblem(event.problem, terminal));
      case 'state':
        if (live) live.detail(event.detail ? `${event.state}, ${event.detail}` : event.state);
        else
          write(
            `${printable(event.endpoint, terminal.unicode)}: ${event.state}${event.detail ? `, ${printable(event.detail, terminal.unicode)}` : ''}`,
          );
        return;
      default:
        return event satisfies never;
    }
  };
  return { onProgress, line: write, close: () => live?.hide() };
}

function doneLine(
  terminal: Terminal,
  label: string,
  event: Extract<ProgressEvent, { type: 'done' }>,
  elapsed: number | undefined,
): string {
  const { error: sink, unicode } = terminal;
  const facts = [event.reused ? 'reused' : '', event.detail].filter(Boolean).map((fact) => printable(fact, unicode));
  const time = elapsed !== undefined && elapsed >= 1000 ? paint(sink, 'dim', ` ${formatSeconds(elapsed)}`) : '';
  const detail = facts.length > 0 ? `: ${facts.join(', ')}` : '';
  return `${paint(sink, 'green', symbols(unicode).done)} ${printable(label, unicode)}${detail}${time}`;
}

function logLine({ error: sink, unicode }: Terminal, event: Extract<ProgressEvent, { type: 'log' }>): string {
  return `  ${paint(sink, 'dim', `${printable(event.source, unicode)} ${symbols(unicode).bar}`)} ${printableLog(event.line, sink.color, unicode)}`;
}

function describeProgress({ done, total, unit, detail }: Extract<ProgressEvent, { type: 'progress' }>): string {
  const amount = unit === 'bytes' ? formatBytes(done) : String(done);
  const whole = total === undefined ? '' : ` of ${unit === 'bytes' ? formatBytes(total) : total}`;
  const share = total ? ` (${Math.floor((Math.min(done, total) / total) * 100)} %)` : '';
  return `${amount}${whole}${unit === 'bytes' ? '' : ` ${unit}`}${share}${detail ? ` ${detail}` : ''}`;
}

export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let amount = bytes;
  let unit = 0;
  for (; amount >= 999.5 && unit < units.length - 1; unit += 1) amount /= 1000;
  return `${unit === 0 || amount >= 99.5 ? Math.round(amount) : amount.toPrecision(2)} ${units[unit]}`;
}

function formatSeconds(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** The one line at the bottom that is drawn again and again. */
class LiveLine {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #label: string | undefined;
  #detail = '';
  #since = 0;
  #frame = 0;
  #drawn = false;
  #timer: NodeJS.Timeout | undefined;
  #fit: typeof fitWide | undefined;

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal;
    this.#now = now;
  }

  show(label: string, since = this.#now()): void {
    this.#label = label;
    this.#detail = '';
    this.#since = since;
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS).unref();
    this.#draw();
  }

  detail(text: string): void {
    this.#detail = text;
  }

  above(text: string): void {
    this.#erase();
    this.#terminal.error.write(`${text}\n`);
    this.#draw();
  }

  hide(): void {
    this.#erase();
    this.#label = undefined;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #draw(): void {
    if (this.#label === undefined) return;
    const { error: sink, unicode } = this.#terminal;
    const { spinner, ellipsis } = symbols(unicode);
    const mark = spinner[this.#frame++ % spinner.length] ?? '';
    const elapsed = this.#now() - this.#since;
    const time = elapsed >= 1000 ? ` ${formatSeconds(elapsed)}` : '';
    const words = printable([this.#label, this.#detail].filter(Boolean).join(': '), unicode);
    // One column stays free: some terminals wrap when the last one is filled.
    const room = Math.max(10, sink.columns - 3 - time.length);
    sink.write(
      `\r\u001b[K${paint(sink, 'cyan', mark)} ${this.#fitted(words, room, ellipsis)}${paint(sink, 'dim', time)}`,
    );
    this.#drawn = true;
  }

  /** What measures other scripts and emoji takes long to load, and most lines have none. */
  #fitted(words: string, room: number, ellipsis: string): string {
    if (PLAIN.test(words)) return words.length <= room ? words : words.slice(0, room - ellipsis.length) + ellipsis;
    if (this.#fit) return this.#fit(words, room, ellipsis);
    void import('./table.ts').then(({ fit }) => {
      this.#fit = fit;
    });
    return '';
  }

  #erase(): void {
    if (this.#drawn) this.#terminal.error.write('\r\u001b[K');
    this.#drawn = false;
  }
}
