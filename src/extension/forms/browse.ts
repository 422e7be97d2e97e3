import { dirname, relative, sep } from 'node:path';
import * as vscode from 'vscode';

/** Where relative paths of a configuration file start: its workspace folder, as v1's started from the working directory. */
export function folderOfFile(uri: vscode.Uri): string {
  return vscode.workspace.getWorkspaceFolder(uri)?.uri.fsPath ?? dirname(uri.fsPath);
}

/** Lets a person pick a file or folder; answers its path from `base`. */
export async function browse(kind: 'file' | 'folder', folder: string, base: string): Promise<{ path?: string }> {
  const chosen = await vscode.window.showOpenDialog({
    canSelectFiles: kind === 'file',
    canSelectFolders: kind === 'folder',
    defaultUri: vscode.Uri.file(folder),
    openLabel: vscode.l10n.t('Choose'),
  });
  return chosen?.[0] === undefined ? {} : { path: relative(base, chosen[0].fsPath).split(sep).join('/') || '.' };
}
