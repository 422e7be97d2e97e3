import * as vscode from 'vscode';
import { followsRule, WORKSPACE_NAME } from '../../contract/names.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { confirm, folderOf, given, nodeOfKind } from './pick.ts';

const t = vscode.l10n.t;

/** Which workspace the folder works in, in place of the one that its files name. */
export async function selectWorkspace(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { folder } = folderOf(on);
  const settings = vscode.workspace.getConfiguration('aksml', folder.uri);
  const known = await window.engine.request('workspace.list', {});
  const ofFiles = { label: t('The workspace that the folder names'), name: '' };
  const chosen = given(
    await vscode.window.showQuickPick(
      [
        ofFiles,
        { label: '', kind: vscode.QuickPickItemKind.Separator, name: '' },
        ...known.map(({ name, registry, folder: content }) => ({
          label: name,
          description: registry ?? content,
          name,
        })),
        { label: `$(add) ${t('Create Workspace…')}`, name: undefined },
      ],
      { title: t('Workspace of {0}', folder.name), placeHolder: t('Choose a workspace') },
    ),
  );
  const name = chosen.name ?? (await made(window));
  await settings.update('workspace', name === '' ? undefined : name, vscode.ConfigurationTarget.WorkspaceFolder);
}

export async function createWorkspace(window: AksmlWindow): Promise<void> {
  const name = await made(window);
  void vscode.window.showInformationMessage(t('The workspace {0} is made.', name));
}

async function made({ engine }: AksmlWindow): Promise<string> {
  const name = await askName(t('Create Workspace'));
  const registry = given(
    await vscode.window.showInputBox({
      title: t('Where the content of {0} is kept', name),
      prompt: t('Address of a container registry, such as registry.example.com/team. Empty: a folder on this machine.'),
    }),
  ).trim();
  await engine.request('workspace.create', { name, ...(registry === '' ? {} : { registry }) });
  return name;
}

async function askName(title: string): Promise<string> {
  return given(
    await vscode.window.showInputBox({
      title,
      prompt: t('Name'),
      validateInput: (text) =>
        followsRule(WORKSPACE_NAME, text) ? undefined : t('A workspace name has {0}.', WORKSPACE_NAME.hint),
    }),
  );
}

/** Writes `.azureml/config.json`, so that everybody who clones the folder works in that workspace. */
export async function attachFolder({ engine, tree }: AksmlWindow, on: CommandTarget): Promise<void> {
  const { folder, scope } = folderOf(on);
  const known = await engine.request('workspace.list', {});
  const other = t('Another name…');
  const chosen = given(
    await vscode.window.showQuickPick([...known.map(({ name }) => name), other], {
      title: t('Tie {0} to a workspace', folder.name),
    }),
  );
  const name = chosen === other ? await askName(t('Tie Folder to Workspace')) : chosen;
  const { file } = await engine.request('workspace.attachFolder', { folder: scope.folder, name });
  tree.refresh();
  const open = t('Open File');
  const answer = await vscode.window.showInformationMessage(t('The folder is tied to {0}.', name), open);
  if (answer === open) await vscode.window.showTextDocument(vscode.Uri.file(file));
}

export async function openWorkspaceFile(_: AksmlWindow, on: CommandTarget): Promise<void> {
  const { workspace } = nodeOfKind(on, 'workspace');
  if (workspace.view?.origin.kind === 'file') {
    await vscode.window.showTextDocument(vscode.Uri.file(workspace.view.origin.file));
  }
}

export async function deleteWorkspace({ engine, tree }: AksmlWindow, on: CommandTarget): Promise<void> {
  const known = await engine.request('workspace.list', {});
  const own = on.node?.kind === 'workspace' ? on.node.workspace.view?.name : undefined;
  const name =
    own ??
    given(
      await vscode.window.showQuickPick(
        known.map((workspace) => workspace.name),
        { title: t('Delete Workspace') },
      ),
    );
  await confirm(
    t('Delete the workspace {0} with all its models, environments and history?', name),
    t('What is deployed keeps running. The content of a registry that it names stays. This cannot be undone.'),
    t('Delete'),
  );
  await engine.request('workspace.delete', { name, force: true });
  tree.refresh();
}
