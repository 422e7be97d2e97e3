import * as vscode from 'vscode';
import type { WorkspaceScope } from '../contract/engine-api.ts';
import { textSetting } from './settings.ts';

/** A folder that is open, as the engine is told of it. */
export interface FolderScope {
  readonly key: string;
  readonly scope: WorkspaceScope;
  readonly folder: vscode.WorkspaceFolder;
}

/** Only folders of this machine: the engine reads them itself. */
export function folderScopes(): readonly FolderScope[] {
  return (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === 'file')
    .map((folder) => {
      const workspace = textSetting('workspace', folder.uri);
      const scope = { folder: folder.uri.fsPath, ...(workspace ? { workspace } : {}) };
      return { key: workspace ? `${folder.uri.fsPath} ${workspace}` : folder.uri.fsPath, scope, folder };
    });
}

/** Of the folder that a file belongs to; else of the active editor's; else of the first. */
export function scopeFor(uri: vscode.Uri | undefined): FolderScope | undefined {
  const scopes = folderScopes();
  const candidates = [uri, vscode.window.activeTextEditor?.document.uri];
  for (const candidate of candidates) {
    const folder = candidate && vscode.workspace.getWorkspaceFolder(candidate);
    const found = scopes.find((scope) => scope.folder === folder);
    if (found) return found;
  }
  return scopes[0];
}

/** Where a deploy goes that names no compute target. */
export function defaultTarget(folder: vscode.Uri | undefined): string {
  return textSetting('target', folder) ?? 'local';
}
