import * as vscode from 'vscode';
import type { AksmlWindow } from '../aksml-window.ts';
import type { PendingFile } from './deploy-files.ts';

const SCHEME = 'aksml-pending';
const EMPTY = `${SCHEME}-none`;
const texts = new Map<string, string>();
const changed = new vscode.EventEmitter<vscode.Uri>();
let isRegistered = false;

/** VS Code's diff editor on a file as it is and as it would be written. */
export async function showPending(
  { context }: AksmlWindow,
  uri: vscode.Uri,
  { path, before, after }: PendingFile,
): Promise<void> {
  if (!isRegistered) {
    isRegistered = true;
    context.subscriptions.push(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
        onDidChange: changed.event,
        provideTextDocumentContent: (pending) => texts.get(pending.path) ?? '',
      }),
      vscode.workspace.registerTextDocumentContentProvider(EMPTY, { provideTextDocumentContent: () => '' }),
    );
  }
  const pending = uri.with({ scheme: SCHEME });
  texts.set(pending.path, after);
  changed.fire(pending);
  const left = before === undefined ? uri.with({ scheme: EMPTY }) : uri;
  await vscode.commands.executeCommand(
    'vscode.diff',
    left,
    pending,
    vscode.l10n.t('{0}: as it would be written', path),
  );
}
