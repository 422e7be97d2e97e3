import { basename, join } from 'node:path';
import * as vscode from 'vscode';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import type { NodeOf } from '../tree/nodes.ts';
import { chooseFolder, folderOf, given, selected } from './pick.ts';

const t = vscode.l10n.t;

type EnvironmentOfWorkspace = Pick<NodeOf<'environment'>, 'environment' | 'workspace'>;

export async function scaffoldEnvironment({ engine }: AksmlWindow, on: CommandTarget): Promise<void> {
  const { folder } = folderOf(on);
  const name = given(
    await vscode.window.showInputBox({
      title: t('Create Environment Folder'),
      prompt: t('Name of the environment'),
      value: basename(folder.uri.fsPath),
      validateInput: (text) => (text.trim() === '' ? t('Give it a name.') : undefined),
    }),
  );
  const directory = await chooseFolder(t('Where to put the folder of {0}', name), folder.uri);
  const { files } = await engine.request('environment.scaffold', { directory: join(directory, name), name });
  const conda = files.find((file) => /conda/.test(basename(file))) ?? files[0];
  if (conda !== undefined) await vscode.window.showTextDocument(vscode.Uri.file(conda));
}

export async function registerEnvironment({ engine }: AksmlWindow, on: CommandTarget): Promise<void> {
  const { folder, scope } = folderOf(on);
  const directory = await chooseFolder(t('Folder of the environment'), folder.uri);
  const { environment, reused } = await engine.request('environment.register', { ...scope, directory });
  const id = `${environment.name}:${environment.version}`;
  void vscode.window.showInformationMessage(
    reused ? t('{0} has the same content already.', id) : t('Registered as {0}.', id),
  );
}

/** The environment that a command is about: that of its node, else a chosen one. */
async function environmentOf({ engine, tree }: AksmlWindow, on: CommandTarget): Promise<EnvironmentOfWorkspace> {
  const [own] = selected(on, 'environment');
  if (own) return own;
  const { workspaces } = await tree.settled();
  const listed = workspaces.map(async (workspace) =>
    (await engine.request('environment.list', workspace.scope)).map((environment) => ({
      label: `${environment.name}:${environment.version}`,
      environment,
      workspace,
    })),
  );
  const all = (await Promise.all(listed)).flat();
  const options = { title: t('Environment'), placeHolder: t('Choose an environment') };
  return given(await vscode.window.showQuickPick(all, options));
}

export async function showEnvironment(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { name, version, definition } = (await environmentOf(window, on)).environment;
  await window.documents.show(`${name}-${version}.json`, 'json', `${JSON.stringify(definition, undefined, 2)}\n`);
}

export async function downloadEnvironment(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { environment, workspace } = await environmentOf(window, on);
  const { name, version } = environment;
  const directory = await chooseFolder(t('Download {0} to', name), vscode.Uri.file(workspace.scope.folder));
  const params = { ...workspace.scope, name, version, directory: join(directory, name) };
  const { files } = await window.engine.request('environment.download', params);
  void vscode.window.showInformationMessage(t('Written: {0}', files.join(', ')));
}

export async function copyEnvironmentId(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const chosen = selected(on, 'environment');
  const all = chosen.length > 0 ? chosen : [await environmentOf(window, on)];
  const ids = all.map(({ environment }) => `${environment.name}:${environment.version}`);
  await vscode.env.clipboard.writeText(ids.join('\n'));
}
