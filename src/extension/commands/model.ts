import { join } from 'node:path';
import * as vscode from 'vscode';
import type { WorkspaceScope } from '../../contract/engine-api.ts';
import type { Model } from '../../contract/model.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { runOperation } from '../operation.ts';
import { showError } from '../show-error.ts';
import { modelOfNode } from '../tree/nodes.ts';
import type { WorkspaceState } from '../tree/state.ts';
import { askLabels, chooseFolder, confirm, given, selected } from './pick.ts';

const t = vscode.l10n.t;

interface ModelOfWorkspace {
  readonly model: Model;
  readonly workspace: WorkspaceState;
}

async function modelOf({ tree }: AksmlWindow, { node }: CommandTarget): Promise<ModelOfWorkspace> {
  const model = modelOfNode(node);
  if (node !== undefined && model !== undefined) return { model, workspace: node.workspace };
  const { workspaces } = await tree.settled();
  const all = workspaces.flatMap((workspace) =>
    (workspace.models.value ?? []).map((model) => ({
      label: model.id,
      description: model.framework,
      model,
      workspace,
    })),
  );
  return given(await vscode.window.showQuickPick(all, { title: t('Model'), placeHolder: t('Choose a model') }));
}

/** Of a remote registry: folders of this machine are looked at all the time. */
export async function refreshContent({ engine, tree }: AksmlWindow, { node }: CommandTarget): Promise<void> {
  const workspaces = node ? [node.workspace] : tree.state.workspaces;
  await Promise.all(workspaces.map(({ scope }) => engine.request('content.refresh', scope)));
}

export async function registerFile(
  window: AksmlWindow,
  scope: WorkspaceScope,
  path: string,
  name: string,
): Promise<void> {
  const model = await runOperation(window, t('Registering {0}', name), 'model.register', { ...scope, name, path });
  const deploy = t('Deploy…');
  const answer = await vscode.window.showInformationMessage(t('Registered as {0}.', model.id), deploy);
  if (answer === deploy) await vscode.commands.executeCommand('aksml.endpoint.deploy', undefined, { model: model.id });
}

export async function editModel(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { model, workspace } = await modelOf(window, on);
  const title = t('Edit {0}', model.id);
  const description = given(
    await vscode.window.showInputBox({ title, prompt: t('Description'), value: model.description ?? '' }),
  );
  const tags = await askLabels(title, model.tags);
  await window.engine.request('model.update', { ...workspace.scope, id: model.id, description, ...tags });
}

export async function downloadModel(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { model, workspace } = await modelOf(window, on);
  const directory = await chooseFolder(t('Download {0} to', model.id), vscode.Uri.file(workspace.scope.folder));
  const params = { ...workspace.scope, id: model.id, directory };
  const { path } = await runOperation(window, t('Downloading {0}', model.id), 'model.download', params);
  await offerToShow(t('{0} is in {1}.', model.id, path), path);
}

async function offerToShow(message: string, path: string): Promise<void> {
  const show = t('Show');
  const answer = await vscode.window.showInformationMessage(message, show);
  if (answer === show) await vscode.commands.executeCommand('revealFileInOS', vscode.Uri.file(path));
}

/** With the environment and the code of an inference configuration, as an image or as what builds one. */
export async function packageModel(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { model, workspace } = await modelOf(window, on);
  const { folder } = workspace.scope;
  const configuration = given(await chooseConfiguration(folder));
  const format = given(
    await vscode.window.showQuickPick(
      [
        { label: t('Docker archive'), description: t('a file for "docker load"'), format: 'tar' as const },
        { label: t('OCI image layout'), description: t('a folder'), format: 'layout' as const },
        { label: t('Build context'), description: t('a folder with a Dockerfile'), format: 'context' as const },
      ],
      { title: t('Package {0}', model.id) },
    ),
  ).format;
  const outputPath =
    format === 'tar'
      ? given(await vscode.window.showSaveDialog({ defaultUri: vscode.Uri.file(join(folder, `${model.name}.tar`)) }))
          .fsPath
      : await chooseFolder(t('Folder to write to'), vscode.Uri.file(folder));
  const { path } = await runOperation(window, t('Packaging {0}', model.id), 'model.package', {
    ...workspace.scope,
    models: [model.id],
    inferenceConfigFile: configuration,
    imageName: model.name.toLowerCase(),
    format,
    outputPath,
  });
  await offerToShow(t('{0} is packaged.', model.id), path);
}

async function chooseConfiguration(folder: string): Promise<string | undefined> {
  const pattern = new vscode.RelativePattern(folder, '**/inferenceconfig*.{json,yml,yaml}');
  const found = (await vscode.workspace.findFiles(pattern, '**/node_modules/**', 50)).map(({ fsPath }) => fsPath);
  if (found.length === 1) return found[0];
  if (found.length > 1) return vscode.window.showQuickPick(found, { title: t('Inference configuration') });
  const chosen = await vscode.window.showOpenDialog({
    title: t('Inference configuration'),
    defaultUri: vscode.Uri.file(folder),
  });
  return chosen?.[0]?.fsPath;
}

/** On this machine, with the requests of a file: what CPU and memory a deployment should ask for. */
export async function profileModel(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const { model, workspace } = await modelOf(window, on);
  const title = t('Measuring {0}', model.id);
  const configuration = await chooseConfiguration(workspace.scope.folder);
  const input = await vscode.window.showOpenDialog({
    title: t('Requests to measure with: one a line, or a JSON file'),
    defaultUri: vscode.Uri.file(workspace.scope.folder),
    openLabel: t('Measure'),
  });
  const made = await runOperation(window, title, 'model.profile', {
    ...workspace.scope,
    name: model.name.toLowerCase().replace(/[^a-z0-9-]+/g, '-'),
    models: [model.id],
    input: given(input?.[0]).fsPath,
    ...(configuration === undefined ? {} : { inferenceConfigFile: configuration }),
  });
  const { recommendedCpu: cpu, recommendedMemoryInGB: memory, latencyPercentile95InMs: p95 } = made;
  if (made.state === 'Failed' || cpu === null || memory === null) {
    void vscode.window.showWarningMessage(made.error?.message ?? t('Nothing could be measured.'));
    return;
  }
  const recommended = JSON.stringify({ cpu, memoryInGB: memory });
  const copy = t('Copy Requirements');
  const answer = await vscode.window.showInformationMessage(
    t(
      '{0} needs {1} CPU and {2} GB; 95 % of requests take at most {3} ms.',
      model.id,
      cpu,
      memory,
      Math.ceil(p95 ?? 0),
    ),
    copy,
  );
  if (answer === copy) await vscode.env.clipboard.writeText(`"containerResourceRequirements": ${recommended}`);
}

export async function copyModelId(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const chosen = selected(on, 'model');
  const models = chosen.length > 0 ? chosen : [await modelOf(window, on)];
  await vscode.env.clipboard.writeText(models.map(({ model }) => model.id).join('\n'));
}

/** Registered files cannot be had back, so that a person is asked. */
export async function deleteModels(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const chosen: readonly ModelOfWorkspace[] = on.nodes.flatMap((node): readonly ModelOfWorkspace[] => {
    if (node.kind === 'model') return [node];
    return node.kind === 'modelName' ? node.models.map((model) => ({ model, workspace: node.workspace })) : [];
  });
  const models = chosen.length > 0 ? chosen : [await modelOf(window, on)];
  const ids = models.map(({ model }) => model.id);
  await confirm(
    ids.length === 1 ? t('Delete the model {0}?', ids[0] ?? '') : t('Delete {0} models?', ids.length),
    t('{0}\n\nThis cannot be undone. Models that an endpoint uses are kept.', ids.slice(0, 20).join(', ')),
    t('Delete'),
  );
  for (const { model, workspace } of models) {
    await window.engine
      .request('model.delete', { ...workspace.scope, id: model.id })
      .catch((error: unknown) => showError(window, error));
  }
}
