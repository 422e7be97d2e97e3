import * as vscode from 'vscode';
import type { LogLine } from '../../contract/compute-target.ts';
import { ColouredLines, plainLine } from './log-text.ts';

/** Where a log is shown. */
export interface LogSink extends vscode.Disposable {
  append(lines: readonly LogLine[]): void;
  /** Shows these in place of all that was there. */
  replace(notice: string, lines: readonly LogLine[]): void;
  /** A sentence of ours among the lines. */
  say(sentence: string): void;
  show(): void;
  readonly place: 'output' | 'terminal';
  readonly terminal?: vscode.Terminal;
  /** Whether it is the one that its place shows now. */
  isShown(): boolean;
}

export function channelSink(title: string): LogSink {
  const channel = vscode.window.createOutputChannel(title, 'log');
  const text = (lines: readonly LogLine[]) => lines.map((line) => `${plainLine(line)}\n`).join('');
  return {
    append: (lines) => channel.append(text(lines)),
    replace: (notice, lines) => channel.replace(`${notice === '' ? '' : `--- ${notice}\n`}${text(lines)}`),
    say: (sentence) => channel.appendLine(`--- ${sentence}`),
    show: () => channel.show(true),
    place: 'output',
    // The address of the document is all that VS Code tells of which channel is shown.
    isShown: () =>
      vscode.window.visibleTextEditors.some(
        ({ document: { uri } }) => uri.scheme === 'output' && uri.path.endsWith(`-${title}`),
      ),
    dispose: () => channel.dispose(),
  };
}

/** A terminal that only shows; closing it ends the log. */
export function terminalSink(title: string, onClose: () => void): LogSink {
  const written = new vscode.EventEmitter<string>();
  const coloured = new ColouredLines();
  // What is written before the terminal is open would be lost.
  let waiting: string[] | undefined = [];
  const write = (text: string) => {
    if (waiting) waiting.push(text);
    else written.fire(text);
  };
  const terminal = vscode.window.createTerminal({
    name: title,
    iconPath: new vscode.ThemeIcon('output'),
    isTransient: true,
    pty: {
      onDidWrite: written.event,
      open: () => {
        const before = waiting?.join('') ?? '';
        waiting = undefined;
        written.fire(before);
      },
      close: onClose,
    },
  });
  const text = (lines: readonly LogLine[]) => lines.map((line) => `${coloured.render(line)}\r\n`).join('');
  const say = (sentence: string) => write(`\x1b[2m--- ${sentence}\x1b[0m\r\n`);
  return {
    append: (lines) => write(text(lines)),
    replace: (notice, lines) => {
      write('\x1b[2J\x1b[3J\x1b[H');
      if (notice !== '') say(notice);
      write(text(lines));
    },
    say,
    show: () => terminal.show(true),
    place: 'terminal',
    terminal,
    isShown: () => vscode.window.activeTerminal === terminal,
    dispose: () => {
      terminal.dispose();
      written.dispose();
    },
  };
}
