import * as vscode from 'vscode';
import { editorTypeOf, type FormName } from '../../contract/webview/forms.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { endpointOf, given, scopeOfEndpoint } from '../commands/pick.ts';
import { configurationKind } from '../languages/documents.ts';
import { ENDPOINT } from './endpoint-form.ts';
import { restoreForm, showForm } from './form-panel.ts';
import { KEYS } from './keys-form.ts';
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
  endpoint: (window, ...tab) => restoreForm(window, ENDPOINT, ...tab),
  keys: (window, ...tab) => restoreForm(window, KEYS, ...tab),
  request: (window, ...tab) => restoreForm(window, REQUEST, ...tab),
  rollout: (window, ...tab) => restoreForm(window, ROLLOUT, ...tab),
};

export { fillConfigurationEditor } from './configuration-editor.ts';
