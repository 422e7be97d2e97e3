import { AksmlError } from '../contract/error.ts';
import { printable, printableJson, printableLines, printableLog } from './printable.ts';
import type { Cell, Result, View } from './result.ts';
import { paint, type Sink, type Style, symbols, type Terminal } from './terminal.ts';
import { wrapFor } from './wrap.ts';

export const FORMATS = ['json', 'jsonc', 'yaml', 'table', 'tsv', 'none'] as const;
export type Format = (typeof FORMATS)[number];

export interface OutputWishes {
  /** Absent: tables for people, JSON for programs. */
  readonly format?: Format;
  /** JMESPath. */
  readonly query?: string;
}

/** Writes a result in the wished form. @throws AksmlError `query.invalid` */
export async function writeResult(result: Result, wishes: OutputWishes, terminal: Terminal): Promise<void> {
  if (result.kind === 'nothing') return;
  const { out } = terminal;
  if (result.kind === 'text' && wishes.query === undefined && [undefined, 'table', 'tsv'].includes(wishes.format))
    return out.write(result.text);
  const format = wishes.format ?? (out.isTerminal ? (wishes.query === undefined ? 'table' : 'jsonc') : 'json');
  const plain =
    result.kind === 'text'
      ? result.text
      : format === 'yaml' && wishes.query === undefined
        ? (result.resource ?? result.value)
        : result.value;
  const value = wishes.query === undefined ? plain : await runQuery(plain, wishes.query);
  const view = result.kind === 'value' && wishes.query === undefined ? result.view : undefined;
  switch (format) {
    case 'none':
      return;
    case 'json':
      return out.write(`${toJson(value)}\n`);
    case 'jsonc':
      return out.write(`${colorJson(toJson(value), out)}\n`);
    case 'yaml': {
      const { toYaml } = await import('./yaml.ts');
      return out.write(toYaml(value));
    }
    case 'tsv':
      return out.write(toTsv(value));
    case 'table':
      return out.write(await toTable(value, view, terminal));
    default:
      return format satisfies never;
  }
}

export function toJson(value: unknown): string {
  return printableJson(JSON.stringify(value ?? null, null, 2));
}

async function runQuery(value: unknown, query: string): Promise<unknown> {
  const { search } = await import('@jmespath-community/jmespath');
  try {
    return search(JSON.parse(JSON.stringify(value ?? null)), query);
  } catch (error) {
    throw new AksmlError(
      'query.invalid',
      `--query is not valid JMESPath: ${error instanceof Error ? error.message : String(error)}`,
      {
        fault: 'input',
        subject: '--query',
        remedy: 'See https://jmespath.org for the language; put the expression in quotation marks.',
      },
    );
  }
}

function colorJson(json: string, sink: Sink): string {
  if (!sink.color) return json;
  return json.replace(
    /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token, text: string | undefined, colon: string | undefined) => {
      if (text !== undefined)
        return colon === undefined ? paint(sink, 'green', text) : `${paint(sink, 'cyan', text)}${colon}`;
      return paint(sink, 'yellow', token);
    },
  );
}

/** As `az`: one line an item, values between tabs, names left out. */
function toTsv(value: unknown): string {
  // A text alone may be a file that a shell writes, with lines that count.
  if (typeof value === 'string') return `${value.replace(/\n$/, '').split('\n').map(tsvCell).join('\n')}\n`;
  const items = Array.isArray(value) ? value : [value];
  return items.map((item) => `${tsvLine(item)}\n`).join('');
}

function tsvLine(item: unknown): string {
  if (Array.isArray(item)) return item.map(tsvCell).join('\t');
  return isRecord(item) ? Object.values(item).map(tsvCell).join('\t') : tsvCell(item);
}

function tsvCell(value: unknown): string {
  if (value === null || value === undefined) return '';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

async function toTable(value: unknown, view: View | undefined, terminal: Terminal): Promise<string> {
  const shown = view ?? viewOf(value);
  const { out, unicode } = terminal;
  const cell = (content: Cell) => printable(content === null || content === undefined ? '' : String(content), unicode);
  switch (shown.kind) {
    case 'json':
      return `${colorJson(toJson(value), out)}\n`;
    case 'patch':
      return shown.lines.map((line) => `${paintPatch(out, printableLog(line, false, unicode))}\n`).join('');
    case 'facts': {
      const width = Math.max(0, ...shown.facts.map(([label]) => label.length));
      const lines = shown.facts.map(([label, content]) => {
        const text = label === 'State' ? paintState(out, cell(content)) : wrapFor(out, cell(content), width + 2);
        return `${paint(out, 'bold', label)}${' '.repeat(width - label.length + 2)}${text}`.trimEnd();
      });
      return `${[...lines, ...(shown.note === undefined ? [] : ['', printableLines(shown.note, unicode)])].join('\n')}\n`;
    }
    case 'rows': {
      if (shown.rows.length === 0) return out.isTerminal ? `${shown.empty}\n` : '';
      const { renderTable } = await import('./table.ts');
      return renderTable(
        shown.columns,
        shown.rows.map((row) => row.map(cell)),
        {
          ...(out.isTerminal ? { width: out.columns } : {}),
          expendable: shown.expendable ?? [],
          ellipsis: symbols(unicode).ellipsis,
          paintHeader: (text) => paint(out, 'bold', text),
          paintCell: (column, text) => (column === 'STATE' ? paintState(out, text) : text),
        },
      );
    }
    default:
      return shown satisfies never;
  }
}

const STATE_STYLES: Readonly<Record<string, Style>> = {
  Healthy: 'green',
  Transitioning: 'yellow',
  Deleting: 'yellow',
  Unhealthy: 'red',
  Failed: 'red',
  Unschedulable: 'red',
};

function paintState(sink: Sink, state: string): string {
  const style = STATE_STYLES[state];
  return style === undefined ? state : paint(sink, style, state);
}

function paintPatch(sink: Sink, line: string): string {
  if (/^(\+\+\+|---|@@)/.test(line)) return paint(sink, 'cyan', line);
  if (line.startsWith('+')) return paint(sink, 'green', line);
  return line.startsWith('-') ? paint(sink, 'red', line) : line;
}

/** A view of a value that has none: its plain members. */
function viewOf(value: unknown): View {
  if (Array.isArray(value) && value.every(isRecord)) {
    const columns = [...new Set(value.flatMap((item) => Object.keys(item)))].filter((key) =>
      value.every((item) => isPlain(item[key])),
    );
    return {
      kind: 'rows',
      columns,
      rows: value.map((item) => columns.map((column) => item[column] as Cell)),
      empty: 'Nothing to show.',
    };
  }
  if (isRecord(value)) {
    const facts = Object.entries(value).map(([key, content]): readonly [string, Cell] => [
      key,
      isPlain(content) ? (content as Cell) : JSON.stringify(content),
    ]);
    return { kind: 'facts', facts };
  }
  return { kind: 'json' };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPlain(value: unknown): boolean {
  return typeof value !== 'object' || value === null;
}
