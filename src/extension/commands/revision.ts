import { join } from 'node:path';
import * as vscode from 'vscode';
import type { FileDifference, RevisionView } from '../../contract/engine-api.ts';
import { AksmlError } from '../../contract/error.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { busily, runOperation } from '../operation.ts';
import { configurationUri, type RevisionPlace, revisionUri } from '../revisions/revision-uri.ts';
import type { NodeOf } from '../tree/nodes.ts';
import { presentRevision } from '../tree/present-endpoint.ts';
import { chooseFolder, confirm, endpointOf, given, scopeOfEndpoint, selected } from './pick.ts';

const t = vscode.l10n.t;

/** A file before and after, as VS Code's editor for several diffs takes them. */
type Change = [label: vscode.Uri, before: vscode.Uri | undefined, after: vscode.Uri | undefined];

/** The revision that a command is about: that of its node, else a chosen one of those that it is for. */
async function revisionOf(
  window: AksmlWindow,
  on: CommandTarget,
  isFor: (revision: RevisionView) => boolean,
): Promise<NodeOf<'revision'>> {
  const [own] = selected(on, 'revision');
  if (own) return own;
  const node = await endpointOf(window, on);
  const { name } = node.endpoint.metadata;
  const revisions = await window.engine.request('revision.list', scopeOfEndpoint(node));
  const items = revisions.filter(isFor).map((revision): vscode.QuickPickItem & { node: NodeOf<'revision'> } => {
    const { label, description = '' } = presentRevision({ ...node, kind: 'revision', revision }, t);
    return { label, description, node: { ...node, kind: 'revision', revision } };
  });
  if (items.length === 0) {
    throw new AksmlError('revision.none', t('{0} has no revision that this applies to.', name), { fault: 'input' });
  }
  return given(await vscode.window.showQuickPick(items, { title: t('Revision of {0}', name) })).node;
}

/** What a deploy of the folder as it is now would change in the code. */
export async function compareWithFolder(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await revisionOf(window, on, ({ hasCode }) => hasCode);
  const place = placeOf(node, node.revision);
  const folder = await sourceFolder(node);
  const { code } = await busily(t('Comparing…'), () =>
    window.engine.request('revision.diffFolder', { ...place, with: folder }),
  );
  const changes = code.map(
    (file): Change => [vscode.Uri.file(join(folder, file.path)), ...sides(file, place, join(folder, file.path))],
  );
  await showChanges(t('{0} revision {1} and the working tree', place.name, place.revision), changes);
}

function sides({ kind, path }: FileDifference, place: RevisionPlace, now: string): [Change[1], Change[2]] {
  return [
    kind === 'added' ? undefined : revisionUri(place, path),
    kind === 'removed' ? undefined : vscode.Uri.file(now),
  ];
}

/** The folder that was deployed, where it is still below the project; else a chosen one. */
async function sourceFolder({ workspace, revision }: NodeOf<'revision'>): Promise<string> {
  const { folder } = workspace.scope;
  const name = revision.sourceDirectory ?? '';
  const script = (revision.entryScript ?? '').replace(`${name}/`, '');
  const found = await vscode.workspace.findFiles(
    new vscode.RelativePattern(folder, `**/${script}`),
    '**/{node_modules,.venv,venv}/**',
    50,
  );
  const roots = found
    .map(({ fsPath }) => fsPath.slice(0, -script.length - 1))
    .filter((root) => name === '' || root.endsWith(name) || root === folder);
  const [only] = roots;
  if (roots.length === 1 && only !== undefined) return only;
  return chooseFolder(t('Folder to compare with'), vscode.Uri.file(folder));
}

export async function compareWithPrevious(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await revisionOf(window, on, ({ number }) => number > 1);
  const place = placeOf(node, node.revision);
  const before = { ...place, revision: place.revision - 1 };
  const { code, ...others } = await busily(t('Comparing…'), () =>
    window.engine.request('revision.diff', { ...place, from: before.revision, to: place.revision }),
  );
  const files = code.map(
    ({ kind, path }): Change => [
      revisionUri(place, path),
      kind === 'added' ? undefined : revisionUri(before, path),
      kind === 'removed' ? undefined : revisionUri(place, path),
    ],
  );
  const configuration: Change = [configurationUri(place), configurationUri(before), configurationUri(place)];
  await showChanges(t('{0} revisions {1} and {2}', place.name, before.revision, place.revision), [
    ...files,
    ...(Object.values(others).some(({ length }) => length > 0) ? [configuration] : []),
  ]);
}

async function showChanges(title: string, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) {
    void vscode.window.showInformationMessage(t('Nothing differs.'));
    return;
  }
  const [first] = changes;
  if (changes.length === 1 && first?.[1] && first[2]) {
    await vscode.commands.executeCommand('vscode.diff', first[1], first[2], title);
    return;
  }
  await vscode.commands.executeCommand('vscode.changes', title, changes);
}

export async function checkOut(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const node = await revisionOf(window, on, ({ hasCode }) => hasCode);
  const place = placeOf(node, node.revision);
  const parent = await chooseFolder(t('Folder for the code'), vscode.Uri.file(node.workspace.scope.folder));
  const { directory } = await runOperation(
    window,
    t('Checking out revision {0} of {1}', place.revision, place.name),
    'revision.checkout',
    { ...place, directory: join(parent, `${place.name}-${place.revision}`) },
  );
  const open = t('Open in New Window');
  const answer = await vscode.window.showInformationMessage(t('The code is in {0}.', directory), open);
  if (answer === open) {
    await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(directory), { forceNewWindow: true });
  }
}

/** With one click and a word: the revision that is left can be rolled back to as well. */
export async function rollBack(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { revision, workspace, target, endpoint } = await revisionOf(window, on, ({ current }) => !current);
  const { name } = endpoint.metadata;
  await confirm(
    t('Roll {0} back to revision {1}?', name, revision.number),
    t(
      'Its code, models, environment and settings are deployed again, as a new revision. Until it is healthy, the present one keeps serving.',
    ),
    t('Roll Back'),
  );
  const title = t('Rolling {0} back to revision {1}', name, revision.number);
  await runOperation(window, title, 'revision.rollback', {
    ...workspace.scope,
    target,
    name,
    versionName: revision.version,
    to: revision.number,
  });
  void vscode.window.showInformationMessage(t('{0} serves revision {1} again.', name, revision.number));
}

function placeOf(
  { workspace, target, endpoint }: NodeOf<'revision'>,
  { version, number }: RevisionView,
): RevisionPlace {
  return { ...workspace.scope, target, name: endpoint.metadata.name, versionName: version, revision: number };
}
