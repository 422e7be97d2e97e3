import * as vscode from 'vscode';
import type { AksmlWindow } from './aksml-window.ts';
import { defaultTarget, scopeFor } from './scopes.ts';

const t = vscode.l10n.t;

/** The workspace and the compute target that a deploy goes to, once the workspace is known. */
export function openStatusBar({ tree }: AksmlWindow): vscode.Disposable {
  const item = vscode.window.createStatusBarItem('aksml.workspace', vscode.StatusBarAlignment.Left, 0);
  item.name = 'AKS ML';
  item.command = 'aksml.workspace.select';
  const show = () => {
    const current = scopeFor(undefined);
    const workspace = tree.state.workspaces.find(({ key }) => key === current?.key);
    if (current === undefined || workspace?.view === undefined) {
      item.hide();
      return;
    }
    const target = defaultTarget(current.folder.uri);
    item.text = `$(rocket) ${workspace.view.name} · ${target}`;
    item.tooltip = t('AKS ML: workspace {0}, deploys go to {1}', workspace.view.name, target);
    item.accessibilityInformation = { label: item.tooltip };
    item.show();
  };
  return vscode.Disposable.from(
    item,
    tree.onDidChangeState(show),
    vscode.window.onDidChangeActiveTextEditor(show),
    vscode.workspace.onDidChangeConfiguration(show),
  );
}
