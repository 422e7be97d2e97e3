import * as vscode from 'vscode';
import type { Cause } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import type { LogSession } from '../logs/log-sessions.ts';
import { showDetails } from '../show-error.ts';
import type { TreeNode } from '../tree/nodes.ts';
import { endpointOf, given, scopeOfEndpoint } from './pick.ts';

const t = vscode.l10n.t;

export async function streamLogs(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const scope = scopeOfEndpoint(await endpointOf(window, on));
  const { node } = on;
  const version = node?.kind === 'version' || node?.kind === 'replica' ? { versionName: node.version.name } : {};
  const replica = node?.kind === 'replica' ? { replica: node.replica.id } : {};
  (await window.logs()).follow({ scope, ...version, ...replica });
}

/** The last words of what failed, and its log from then on. */
export async function showCause(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = on.node ?? (await endpointOf(window, on));
  const cause = causeOf(node);
  if (cause === undefined) {
    void vscode.window.showInformationMessage(t('Nothing is wrong with it any more.'));
    return;
  }
  const { code, message, remedy, logTail } = cause;
  await showDetails(window, {
    code,
    message,
    ...(remedy === undefined ? {} : { remedy }),
    ...(logTail === undefined ? {} : { logTail }),
  });
}

function causeOf(node: TreeNode): Cause | undefined {
  switch (node.kind) {
    case 'cause':
      return node.cause;
    case 'replica':
      return node.replica.error ?? node.status?.error;
    case 'version':
      return node.status?.error;
    case 'endpoint':
      return node.endpoint.status?.error ?? node.endpoint.status?.versions.find(({ error }) => error)?.error;
    default:
      return undefined;
  }
}

export async function filterLog(window: AksmlWindow): Promise<void> {
  const session = await chosenLog(window);
  session.filter = given(
    await vscode.window.showInputBox({
      title: t('Filter {0}', session.title),
      prompt: t('Only lines that contain this text, or of this replica. Empty: all.'),
      value: session.filter,
    }),
  );
}

export async function pauseLog(window: AksmlWindow): Promise<void> {
  (await chosenLog(window)).pause();
}

export async function resumeLog(window: AksmlWindow): Promise<void> {
  (await chosenLog(window)).resume();
}

export async function stopLog(window: AksmlWindow): Promise<void> {
  (await chosenLog(window)).stop();
}

export async function saveLog(window: AksmlWindow): Promise<void> {
  const session = await chosenLog(window);
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  const name = `${session.title.replaceAll(/[^\w.-]+/g, '-')}.log`;
  const target = given(
    await vscode.window.showSaveDialog(folder ? { defaultUri: vscode.Uri.joinPath(folder.uri, name) } : {}),
  );
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(session.text()));
  await vscode.window.showTextDocument(target);
}

/** The only one that is open, or a chosen one. */
async function chosenLog(window: AksmlWindow): Promise<LogSession> {
  const { all } = await window.logs();
  const [only] = all;
  if (only === undefined) {
    throw new AksmlError('log.none', t('No log is open.'), {
      fault: 'input',
      remedy: t('Stream the log of an endpoint first.'),
    });
  }
  if (all.length === 1) return only;
  const items = all.map((session) => ({ label: session.title, session }));
  return given(await vscode.window.showQuickPick(items, { title: t('Log') })).session;
}
