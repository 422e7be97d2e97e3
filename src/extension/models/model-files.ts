import { open } from 'node:fs/promises';
import * as vscode from 'vscode';
import type { EngineClient } from '../engine-client.ts';

/** Where menus look up whether a file or folder, whose name does not tell, is a model. */
export const MODEL_PATHS_KEY = 'aksml.modelPaths';

const TOLD_BY_CONTENT = '**/*.{txt,json,pb,bst,ubj}';
const TOLD_BY_A_FILE = '**/{MLmodel,saved_model.pb}';
const ELSEWHERE = '**/{node_modules,.git,.venv,venv,__pycache__,site-packages}/**';
const MOST_FILES = 5000;
const HEAD = 4096;
const PAUSE_MS = 500;

/** Keeps the list of models in the open folders whose names alone do not tell that they are models. */
export class ModelFiles implements vscode.Disposable {
  readonly #engine: Pick<EngineClient, 'request'>;
  readonly #disposables: vscode.Disposable[] = [];
  #timer: NodeJS.Timeout | undefined;
  #round = 0;

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
    for (const pattern of [TOLD_BY_CONTENT, TOLD_BY_A_FILE]) {
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      const again = () => this.#schedule();
      this.#disposables.push(
        watcher,
        watcher.onDidCreate(again),
        watcher.onDidChange(again),
        watcher.onDidDelete(again),
      );
    }
    this.#disposables.push(vscode.workspace.onDidChangeWorkspaceFolders(() => this.#schedule()));
    this.#schedule();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#round += 1;
    for (const disposable of this.#disposables) disposable.dispose();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), PAUSE_MS);
  }

  async #look(): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    const [files, markers] = await Promise.all([
      vscode.workspace.findFiles(TOLD_BY_CONTENT, ELSEWHERE, MOST_FILES),
      vscode.workspace.findFiles(TOLD_BY_A_FILE, ELSEWHERE, MOST_FILES),
    ]);
    const folders = markers.map((uri) => vscode.Uri.joinPath(uri, '..').fsPath);
    const likely: string[] = [];
    for (const { fsPath } of files) if (await mayBeModel(fsPath)) likely.push(fsPath);
    // The engine is not started for a folder without models.
    const recognized =
      likely.length === 0 || !vscode.workspace.isTrusted
        ? []
        : await this.#engine.request('model.recognize', { paths: likely }).catch(() => []);
    if (round !== this.#round) return;
    const models = recognized.flatMap((found) => (found === null ? [] : [found.path]));
    await vscode.commands.executeCommand('setContext', MODEL_PATHS_KEY, [...new Set([...folders, ...models])]);
  }
}

/** By the first bytes: far most `.txt` and `.json` files are something else. */
async function mayBeModel(path: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD), 0, HEAD, 0);
    const head = buffer.toString('latin1', 0, bytesRead);
    switch (path.slice(path.lastIndexOf('.')).toLowerCase()) {
      case '.txt':
        return /^tree\r?\nversion=/.test(head);
      case '.json':
        return /^\s*\{\s*"(learner|version)"\s*:\s*[[{]/.test(head);
      default:
        return true;
    }
  } catch {
    return false;
  } finally {
    await handle.close();
  }
}
