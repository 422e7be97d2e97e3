import * as vscode from 'vscode';
import type { Cause } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { isStreamed } from '../logs/log-places.ts';
import type { LogSession, LogSessions } from '../logs/log-sessions.ts';
import { showDetails } from '../show-error.ts';
import type { TreeNode } from '../tree/nodes.ts';
import { endpointOf, given, scopeOfEndpoint } from './pick.ts';

const t = vscode.l10n.t;

export async function streamLogs(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const endpoint = await endpointOf(window, on);
  const scope = scopeOfEndpoint(endpoint);
  const part = on.node?.kind === 'version' || on.node?.kind === 'replica' ? on.node : undefined;
  const version = part === undefined ? {} : { versionName: part.version.name };
  const replica = part?.kind === 'replica' ? { replica: part.replica.id } : {};
  (await window.logs()).follow({ node: part?.id ?? endpoint.id, scope, ...version, ...replica });
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

/** What can be done with a log, by the states in which it can. */
const ACTIONS = {
  show: { isFor: isStreamed, run: (session) => session.show() },
  pause: { isFor: ({ state }) => state === 'running', run: (session) => session.pause() },
  resume: { isFor: ({ state }) => state === 'paused', run: (session) => session.resume() },
  filter: { isFor: () => true, run: askFilter },
  save: { isFor: () => true, run: saveAs },
  stop: { isFor: isStreamed, run: (session) => session.stop() },
} satisfies Record<string, LogAction>;

interface LogAction {
  readonly isFor: (session: LogSession) => boolean;
  readonly run: (session: LogSession) => void | Promise<void>;
}

type LogActionName = keyof typeof ACTIONS;

const commandOf = (name: LogActionName) => async (window: AksmlWindow, on: CommandTarget) => {
  const { isFor, run } = ACTIONS[name];
  await run(await logOf(await window.logs(), on, isFor));
};

export const pauseLog = commandOf('pause');
export const resumeLog = commandOf('resume');
export const filterLog = commandOf('filter');
export const saveLog = commandOf('save');
export const stopLog = commandOf('stop');

/** Asks what to do with a log that is streamed. */
export async function manageLogs(window: AksmlWindow): Promise<void> {
  const session = await chosenLog((await window.logs()).all.filter(isStreamed));
  const items = (Object.keys(ACTIONS) as LogActionName[])
    .filter((name) => ACTIONS[name].isFor(session))
    .map((name) => ({ label: LABELS[name](), name }));
  const { title, filter } = session;
  const heading = filter === '' ? t('Log of {0}', title) : t('Log of {0}, only lines with "{1}"', title, filter);
  await ACTIONS[given(await vscode.window.showQuickPick(items, { title: heading })).name].run(session);
}

const LABELS: Readonly<Record<LogActionName, () => string>> = {
  show: () => `$(output) ${t('Show')}`,
  pause: () => `$(debug-pause) ${t('Pause')}`,
  resume: () => `$(debug-continue) ${t('Resume')}`,
  filter: () => `$(filter) ${t('Filter…')}`,
  save: () => `$(save-as) ${t('Save As…')}`,
  stop: () => `$(debug-stop) ${t('Stop Streaming')}`,
};

async function askFilter(session: LogSession): Promise<void> {
  session.filter = given(
    await vscode.window.showInputBox({
      title: t('Filter {0}', session.title),
      prompt: t('Only lines that contain this text, or of this replica. Empty: all.'),
      value: session.filter,
    }),
  );
}

async function saveAs(session: LogSession): Promise<void> {
  const [folder] = vscode.workspace.workspaceFolders ?? [];
  const name = `${session.title.replaceAll(/[^\w.-]+/g, '-')}.log`;
  const target = given(
    await vscode.window.showSaveDialog(folder ? { defaultUri: vscode.Uri.joinPath(folder.uri, name) } : {}),
  );
  await vscode.workspace.fs.writeFile(target, new TextEncoder().encode(session.text()));
  await vscode.window.showTextDocument(target);
}

/** The log that a command is about: that of its node or terminal, else the one that is shown, else a chosen one. */
async function logOf(
  { all }: LogSessions,
  { node, arguments: [argument] }: CommandTarget,
  isFor: (session: LogSession) => boolean,
): Promise<LogSession> {
  const meant = all.filter(isFor);
  const own = meant.find((session) => (node ? session.node === node.id : session.isIn(argument)));
  return own ?? meant.find(({ shownIn }) => shownIn !== undefined) ?? chosenLog(meant);
}

/** The only one, or a chosen one. */
async function chosenLog(meant: readonly LogSession[]): Promise<LogSession> {
  const [only] = meant;
  if (only === undefined) {
    throw new AksmlError('log.none', t('No log is open.'), {
      fault: 'input',
      remedy: t('Stream the log of an endpoint first.'),
    });
  }
  if (meant.length === 1) return only;
  const items = meant.map((session) => ({ label: session.title, session }));
  return given(await vscode.window.showQuickPick(items, { title: t('Log') })).session;
}
