import * as vscode from 'vscode';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import type { CommandId } from '../contributions/contribution.ts';
import { busily } from '../operation.ts';
import { errorText, showDetails } from '../show-error.ts';
import type { TreeNode } from '../tree/nodes.ts';
import { allEndpoints, endpointOf, folderOf } from './pick.ts';

const t = vscode.l10n.t;

export async function restartEngine({ engine, tree }: AksmlWindow): Promise<void> {
  await engine.restart();
  tree.refresh();
}

export function showOutput({ output }: AksmlWindow): void {
  output.show();
}

export function refreshTree({ tree }: AksmlWindow): void {
  tree.refresh();
}

export async function showNodeError(window: AksmlWindow, { node }: CommandTarget): Promise<void> {
  if (node?.kind === 'error') await showDetails(window, node.error);
}

export function showMore({ tree }: AksmlWindow, { node }: CommandTarget): void {
  if (node?.kind === 'more') tree.showMore(node.id);
}

const DELETIONS: Partial<Readonly<Record<TreeNode['kind'], CommandId>>> = {
  endpoint: 'aksml.endpoint.delete',
  version: 'aksml.version.delete',
  model: 'aksml.model.delete',
  modelName: 'aksml.model.delete',
};

/** By the key: what the menu of the selected rows deletes. Each asks before it does. */
export async function deleteSelected({ tree }: AksmlWindow): Promise<void> {
  const [first, ...others] = tree.view.selection;
  const kind = first === undefined ? undefined : tree.node(first)?.kind;
  const command = kind && DELETIONS[kind];
  if (command !== undefined) await vscode.commands.executeCommand(command, first, [first, ...others]);
}

export async function revealEndpoint(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const [wanted] = on.arguments;
  const named = typeof wanted === 'object' && wanted !== null && 'name' in wanted ? wanted.name : undefined;
  const all = await allEndpoints(window);
  const found = all.find(({ endpoint }) => endpoint.metadata.name === named) ?? (await endpointOf(window, on));
  await window.tree.revealEndpoint(found.workspace.key, found.target, found.endpoint.metadata.name);
}

/** Judges the two files of the folder by the engine's own rules. */
export async function validateConfiguration({ engine, output }: AksmlWindow, on: CommandTarget): Promise<void> {
  const { scope } = folderOf(on);
  const files = on.uri
    ? [on.uri]
    : await vscode.workspace.findFiles('**/{inference,deployment}config*.{json,yml,yaml}', '**/node_modules/**', 20);
  const fileNamed = (pattern: RegExp) => files.find(({ path }) => pattern.test(path))?.fsPath;
  const inference = fileNamed(/inferenceconfig[^/]*$/i);
  const deployment = fileNamed(/deploymentconfig[^/]*$/i);
  const { valid, problems } = await busily(t('Validating…'), () =>
    engine.request('configuration.validate', {
      ...scope,
      ...(inference === undefined ? {} : { inferenceConfigFile: inference }),
      ...(deployment === undefined ? {} : { deploymentConfigFile: deployment }),
    }),
  );
  if (problems.length === 0) {
    void vscode.window.showInformationMessage(t('The configuration is valid.'));
    return;
  }
  output.info(errorText({ code: 'configuration.validate', message: t('Problems found'), problems }));
  const show = t('Show');
  const message = valid
    ? t('The configuration is valid, with {0} remarks.', problems.length)
    : t(
        'The configuration would be refused: {0}',
        problems.find(({ severity }) => severity === 'error')?.message ?? '',
      );
  const answer = await (valid ? vscode.window.showInformationMessage : vscode.window.showWarningMessage)(message, show);
  if (answer === show) output.show();
}
