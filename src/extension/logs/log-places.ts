import * as vscode from 'vscode';
import type { AksmlWindow } from '../aksml-window.ts';
import type { LogSession, LogSessions } from './log-sessions.ts';

const t = vscode.l10n.t;

/** Keeps true where people see that a log is streamed: its row of the tree, the status bar, and what menus are offered for it. */
export function showWhereLogsAre(logs: LogSessions, { tree }: AksmlWindow): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('aksml.logs', vscode.StatusBarAlignment.Left, -1);
  item.name = t('AKS ML: streamed logs');
  item.command = 'aksml.log.manage';
  const show = () => {
    tellMenus(logs);
    showStatus(item, logs.all.filter(isStreamed));
  };
  return vscode.Disposable.from(
    item,
    logs.onDidChange((session) => {
      tree.markStream(session.node, isStreamed(session) ? session.state : undefined);
      show();
    }),
    vscode.window.onDidChangeVisibleTextEditors(() => tellMenus(logs)),
    vscode.window.onDidChangeActiveTerminal(() => tellMenus(logs)),
  );
}

export type StreamedLog = LogSession & { readonly state: 'running' | 'paused' };

export function isStreamed(session: LogSession): session is StreamedLog {
  return session.state === 'running' || session.state === 'paused';
}

/** By the context keys that `contributions/log-commands.ts` names. */
function tellMenus({ all }: LogSessions): void {
  const tell = (key: string, value: unknown) => void vscode.commands.executeCommand('setContext', key, value);
  tell('aksml.logging', all.some(isStreamed));
  for (const place of ['output', 'terminal'] as const) {
    tell(`aksml.log.${place}`, all.find(({ shownIn }) => shownIn === place)?.state);
  }
}

function showStatus(item: vscode.StatusBarItem, streamed: readonly StreamedLog[]): void {
  const [first] = streamed;
  if (first === undefined) {
    item.hide();
    return;
  }
  const arePaused = streamed.every(({ state }) => state === 'paused');
  const what = streamed.length === 1 ? first.title : t('{0} logs', streamed.length);
  const sentence = arePaused ? t('Streaming {0}, paused', what) : t('Streaming {0}', what);
  item.text = `$(${arePaused ? 'debug-pause' : 'output'}) ${sentence}`;
  item.tooltip =
    streamed.length === 1 ? t('Pause, filter, save or stop this log') : t('Pause, filter, save or stop a log');
  item.accessibilityInformation = { label: sentence };
  item.show();
}
