import { isAbsolute, join, relative, sep } from 'node:path';
import * as vscode from 'vscode';
import type { DeploymentProposal } from '../../contract/proposal.ts';
import type { ConfigurationFile, FileView } from '../../contract/webview/configuration.ts';
import type { DeployWish, FileChange } from '../../contract/webview/deploy.ts';
import { contentOf, editedText } from './configuration-text.ts';
import { changedLines } from './line-diff.ts';

/** A file as a deploy form would leave it. */
export interface PendingFile {
  /** From the folder, `/`-separated. */
  readonly path: string;
  /** On the disk or in an editor; absent: there is none. */
  readonly before: string | undefined;
  readonly after: string;
}

/** The two configuration files with the wish's edits, and what else a proposal brings. Nothing is written. */
export class DeployFiles {
  readonly #folder: vscode.Uri;
  readonly #proposed: ReadonlyMap<string, string>;

  constructor(folder: vscode.Uri, proposal: DeploymentProposal | undefined) {
    this.#folder = folder;
    const files = [proposal?.inferenceConfig, proposal?.deploymentConfig, proposal?.entryScript, proposal?.condaFile];
    this.#proposed = new Map(
      files.flatMap((file) => (file?.content === undefined ? [] : [[this.relative(file.path), file.content] as const])),
    );
  }

  relative(path: string): string {
    return relative(this.#folder.fsPath, path).split(sep).join('/');
  }

  uri(path: string): vscode.Uri {
    return isAbsolute(path) ? vscode.Uri.file(path) : vscode.Uri.joinPath(this.#folder, ...path.split('/'));
  }

  async pending(wish: DeployWish): Promise<readonly PendingFile[]> {
    const configurations = configurationFiles(wish);
    const paths = [...new Set([...configurations.map(({ path }) => path), ...this.#needed(wish)])];
    const found = await Promise.all(
      paths.map(async (path) => {
        const before = await this.#present(path);
        const file = configurations.find((configuration) => configuration.path === path)?.file;
        const edits = wish.edits.filter((edit) => edit.file === file);
        const start = before ?? this.#proposed.get(path);
        // A file that is gone is for the engine to miss, not to be written as an empty one.
        if (start === undefined && edits.length === 0) return [];
        const after = edits.reduce((text, edit) => editedText(text, edit.path, edit.value), start ?? '');
        return [{ path, before, after }];
      }),
    );
    return found.flat();
  }

  /** Files that a proposal would make belong to its own inference configuration. */
  #needed({ inferenceConfigFile, deploymentConfigFile }: DeployWish): readonly string[] {
    const isProposed = inferenceConfigFile !== undefined && this.#proposed.has(inferenceConfigFile);
    return [...this.#proposed.keys()].filter(
      (path) =>
        path === deploymentConfigFile || path === inferenceConfigFile || (isProposed && !/config\.json$/i.test(path)),
    );
  }

  async #present(path: string): Promise<string | undefined> {
    const uri = this.uri(path);
    const open = vscode.workspace.textDocuments.find((document) => document.uri.toString() === uri.toString());
    if (open) return open.getText();
    try {
      return new TextDecoder().decode(await vscode.workspace.fs.readFile(uri));
    } catch {
      return undefined;
    }
  }

  /** Writes and saves through VS Code, so that it can be undone where an editor is open. */
  async write(files: readonly PendingFile[]): Promise<void> {
    const edit = new vscode.WorkspaceEdit();
    for (const { path, before, after } of files) {
      if (before === after) continue;
      const uri = this.uri(path);
      if (before === undefined) edit.createFile(uri, { contents: new TextEncoder().encode(after) });
      else edit.replace(uri, new vscode.Range(0, 0, Number.MAX_SAFE_INTEGER, 0), after);
    }
    if (!(await vscode.workspace.applyEdit(edit))) throw new Error(vscode.l10n.t('The files could not be written.'));
    const paths = new Set(files.map(({ path }) => this.uri(path).toString()));
    const dirty = vscode.workspace.textDocuments.filter(({ uri, isDirty }) => isDirty && paths.has(uri.toString()));
    await Promise.all(dirty.map((document) => document.save()));
  }
}

export function configurationFiles({ deploymentConfigFile, inferenceConfigFile }: DeployWish) {
  const files: { readonly file: ConfigurationFile; readonly path: string }[] = [];
  if (deploymentConfigFile !== undefined) files.push({ file: 'deploymentconfig', path: deploymentConfigFile });
  if (inferenceConfigFile !== undefined) files.push({ file: 'inferenceconfig', path: inferenceConfigFile });
  return files;
}

export function changesOf(files: readonly PendingFile[]): FileChange[] {
  return files
    .filter(({ before, after }) => before !== after)
    .map(({ path, before, after }) => ({
      path,
      isNew: before === undefined,
      lines: changedLines(before ?? '', after),
    }));
}

export function viewsOf(wish: DeployWish, files: readonly PendingFile[]): FileView[] {
  return configurationFiles(wish).map(({ file, path }) => ({
    file,
    path,
    ...contentOf(files.find((pending) => pending.path === path)?.after ?? ''),
  }));
}

/** What the engine is to read instead of the disk, and how it is told of the files. */
export function engineFiles(folder: string, wish: DeployWish, files: readonly PendingFile[]) {
  const absolute = (path: string) => (isAbsolute(path) ? path : join(folder, path));
  return {
    ...(wish.deploymentConfigFile === undefined ? {} : { deploymentConfigFile: absolute(wish.deploymentConfigFile) }),
    ...(wish.inferenceConfigFile === undefined ? {} : { inferenceConfigFile: absolute(wish.inferenceConfigFile) }),
    texts: Object.fromEntries(
      configurationFiles(wish).flatMap(({ path }) => {
        const pending = files.find((file) => file.path === path);
        return pending === undefined ? [] : [[absolute(path), pending.after] as const];
      }),
    ),
  };
}
