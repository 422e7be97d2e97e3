import { access, open } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import * as vscode from 'vscode';
import type { EngineClient } from '../engine-client.ts';

/** Where menus look up whether a file or folder, whose name does not tell, is a model. */
export const MODEL_PATHS_KEY = 'aksml.modelPaths';

const TOLD_BY_CONTENT = '**/*.{txt,json,pb,bst,ubj}';
const TOLD_BY_A_FILE = '**/{MLmodel,saved_model.pb}';
const ELSEWHERE = ['node_modules', '.git', '.venv', 'venv', '__pycache__', 'site-packages'];
const MOST_FILES = 5000;
const HEAD = 4096;
const PAUSE_MS = 500;

/** Keeps the list of models in the open folders whose names alone do not tell that they are models. */
export class ModelFiles implements vscode.Disposable {
  readonly #engine: Pick<EngineClient, 'request'>;
  readonly #disposables: vscode.Disposable[] = [];
  /** Files, and folders that a file in them makes a model. */
  readonly #models = new Set<string>();
  /** Files to look at again. */
  readonly #changed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
    const changed = ({ fsPath }: vscode.Uri) => this.#lookAgainAt(fsPath);
    for (const pattern of [TOLD_BY_CONTENT, TOLD_BY_A_FILE]) {
      const watcher = vscode.workspace.createFileSystemWatcher(pattern);
      this.#disposables.push(
        watcher,
        watcher.onDidCreate(changed),
        watcher.onDidChange(changed),
        watcher.onDidDelete(changed),
      );
    }
    this.#disposables.push(
      vscode.workspace.onDidChangeWorkspaceFolders(() => void this.#findAll()),
      vscode.workspace.onDidGrantWorkspaceTrust(() => void this.#findAll()),
    );
    void this.#findAll();
  }

  dispose(): void {
    clearTimeout(this.#timer);
    for (const disposable of this.#disposables) disposable.dispose();
  }

  async #findAll(): Promise<void> {
    const elsewhere = `**/{${ELSEWHERE.join(',')}}/**`;
    const patterns = [TOLD_BY_CONTENT, TOLD_BY_A_FILE];
    const found = await Promise.all(
      patterns.map((pattern) => vscode.workspace.findFiles(pattern, elsewhere, MOST_FILES)),
    );
    for (const { fsPath } of found.flat()) this.#lookAgainAt(fsPath);
  }

  #lookAgainAt(path: string): void {
    if (path.split(sep).some((part) => ELSEWHERE.includes(part))) return;
    this.#changed.add(path);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const paths = [...this.#changed];
      this.#changed.clear();
      this.#looking = this.#looking.then(() => this.#look(paths));
    }, PAUSE_MS);
  }

  async #look(paths: readonly string[]): Promise<void> {
    const before = [...this.#models].sort().join('\n');
    const likely: string[] = [];
    for (const path of paths) {
      this.#models.delete(path);
      if (MARKER.test(path)) await this.#judgeFolder(dirname(path));
      if (await mayBeModel(path)) likely.push(path);
    }
    // The engine is not started for a folder without models.
    const recognized =
      likely.length === 0 || !vscode.workspace.isTrusted
        ? []
        : await this.#engine.request('model.recognize', { paths: likely }).catch(() => {
            for (const path of likely) this.#changed.add(path);
            return [];
          });
    for (const found of recognized) if (found !== null) this.#models.add(found.path);
    const models = [...this.#models].sort();
    if (models.join('\n') !== before) await vscode.commands.executeCommand('setContext', MODEL_PATHS_KEY, models);
  }

  async #judgeFolder(folder: string): Promise<void> {
    const isModel = await Promise.any(MARKERS.map((name) => access(join(folder, name)))).then(
      () => true,
      () => false,
    );
    if (isModel) this.#models.add(folder);
    else this.#models.delete(folder);
  }
}

const MARKERS = ['MLmodel', 'saved_model.pb'];
const MARKER = /[\\/](?:MLmodel|saved_model\.pb)$/;

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
