import * as v from 'valibot';
import * as vscode from 'vscode';
import { editorTypeOf, type FormName } from '../../contract/webview/forms.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { endpointOf, folderOf, given, scopeOfEndpoint } from '../commands/pick.ts';
import { configurationKind } from '../languages/documents.ts';
import { defaultTarget } from '../scopes.ts';
import { modelOfNode } from '../tree/nodes.ts';
import { CLUSTER } from './cluster-form.ts';
import { DEPLOY } from './deploy-form.ts';
import { ENDPOINT } from './endpoint-form.ts';
import { restoreForm, showForm } from './form-panel.ts';
import { KEYS } from './keys-form.ts';
import { MODEL } from './model-form.ts';
import { REQUEST } from './request-form.ts';
import { ROLLOUT } from './rollout-form.ts';

export const openEndpoint = async (window: AksmlWindow, on: CommandTarget) =>
  showForm(window, ENDPOINT, scopeOfEndpoint(await endpointOf(window, on)));
export const openKeys = async (window: AksmlWindow, on: CommandTarget) =>
  showForm(window, KEYS, scopeOfEndpoint(await endpointOf(window, on)));
export const openTest = async (window: AksmlWindow, on: CommandTarget) =>
  showForm(window, REQUEST, scopeOfEndpoint(await endpointOf(window, on)));
export const openRollout = async (window: AksmlWindow, on: CommandTarget) =>
  showForm(window, ROLLOUT, scopeOfEndpoint(await endpointOf(window, on)));

/** On a model or a configuration file of the Explorer, on a registered model, on an endpoint, on a target, or on nothing. */
export function openDeploy(window: AksmlWindow, on: CommandTarget): void {
  const { node, uri } = on;
  const [, options] = on.arguments;
  const wish = v.safeParse(v.object({ newVersion: v.optional(v.boolean()), model: v.optional(v.string()) }), options);
  const { folder, scope } = folderOf(on);
  const isConfiguration = uri !== undefined && configurationKind(uri.path) !== undefined;
  const target =
    node && 'endpoint' in node
      ? node.target
      : node?.kind === 'target'
        ? node.target.listing.name
        : defaultTarget(folder.uri);
  const model = modelOfNode(node);
  showForm(window, DEPLOY, {
    ...scope,
    target,
    ...(uri === undefined ? {} : isConfiguration ? { configuration: uri.fsPath } : { modelPath: uri.fsPath }),
    ...(model === undefined ? {} : { modelId: model.id }),
    ...(wish.success && wish.output.model !== undefined ? { modelId: wish.output.model } : {}),
    ...(node && 'endpoint' in node ? { name: node.endpoint.metadata.name } : {}),
    ...(wish.success && wish.output.newVersion ? { newVersion: true } : {}),
  });
}

export function openRegister(window: AksmlWindow, on: CommandTarget): void {
  const { scope } = folderOf(on);
  showForm(window, MODEL, { ...scope, ...(on.uri === undefined ? {} : { path: on.uri.fsPath }) });
}

export function openAttach(window: AksmlWindow, on: CommandTarget): void {
  showForm(window, CLUSTER, folderOf(on).scope);
}

export async function openConfigurationForm(_: AksmlWindow, { uri }: CommandTarget): Promise<void> {
  const file = given(uri ?? vscode.window.activeTextEditor?.document.uri);
  const kind = given(configurationKind(file.path));
  await vscode.commands.executeCommand('vscode.openWith', file, editorTypeOf(kind));
}

/** The text beside the form. */
export async function openConfigurationText(_: AksmlWindow, { uri }: CommandTarget): Promise<void> {
  const tab = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
  const file = given(uri ?? (tab instanceof vscode.TabInputCustom ? tab.uri : undefined));
  await vscode.commands.executeCommand('vscode.openWith', file, 'default', vscode.ViewColumn.Beside);
}

/** Fills a tab that VS Code has kept over a reload. */
export function restore(window: AksmlWindow, form: FormName, panel: vscode.WebviewPanel, state: unknown): void {
  const restored = RESTORE[form];
  if (restored) restored(window, panel, state);
  else panel.dispose();
}

type Restore = (window: AksmlWindow, panel: vscode.WebviewPanel, state: unknown) => void;

const RESTORE: Readonly<Partial<Record<FormName, Restore>>> = {
  cluster: (window, ...tab) => restoreForm(window, CLUSTER, ...tab),
  deploy: (window, ...tab) => restoreForm(window, DEPLOY, ...tab),
  endpoint: (window, ...tab) => restoreForm(window, ENDPOINT, ...tab),
  keys: (window, ...tab) => restoreForm(window, KEYS, ...tab),
  model: (window, ...tab) => restoreForm(window, MODEL, ...tab),
  request: (window, ...tab) => restoreForm(window, REQUEST, ...tab),
  rollout: (window, ...tab) => restoreForm(window, ROLLOUT, ...tab),
};

export { fillConfigurationEditor } from './configuration-editor.ts';
