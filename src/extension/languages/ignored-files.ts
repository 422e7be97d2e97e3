import { relative, sep } from 'node:path';
import * as vscode from 'vscode';
import type { EngineClient } from '../engine-client.ts';

const IGNORE_FILE = '.amlignore';

interface Question {
  readonly path: string;
  readonly answer: (ignored: boolean) => void;
}

/** Greys out in the Explorer what a deployment leaves out because of an `.amlignore`. */
export class IgnoredFiles implements vscode.FileDecorationProvider, vscode.Disposable {
  readonly #engine: Pick<EngineClient, 'request'>;
  readonly #changed = new vscode.EventEmitter<undefined>();
  readonly onDidChangeFileDecorations = this.#changed.event;
  readonly #disposables: vscode.Disposable[] = [this.#changed];
  /** Folders that have the file, once they have been looked for. */
  #directories: Promise<readonly string[]> | undefined;
  /** Asked together, because the Explorer asks file by file. */
  readonly #waiting = new Map<string, Question[]>();

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
    const watcher = vscode.workspace.createFileSystemWatcher(`**/${IGNORE_FILE}`);
    const again = () => {
      this.#directories = undefined;
      this.#changed.fire(undefined);
    };
    this.#disposables.push(watcher, watcher.onDidCreate(again), watcher.onDidChange(again), watcher.onDidDelete(again));
    this.#disposables.push(vscode.window.registerFileDecorationProvider(this));
  }

  async provideFileDecoration(uri: vscode.Uri): Promise<vscode.FileDecoration | undefined> {
    if (uri.scheme !== 'file' || !vscode.workspace.isTrusted) return undefined;
    const directory = (await this.#known()).find((folder) => uri.fsPath.startsWith(folder + sep));
    if (directory === undefined) return undefined;
    const path = relative(directory, uri.fsPath).split(sep).join('/');
    if (!(await this.#isIgnored(directory, path))) return undefined;
    return new vscode.FileDecoration(
      undefined,
      vscode.l10n.t('Left out of deployments by {0}', IGNORE_FILE),
      new vscode.ThemeColor('gitDecoration.ignoredResourceForeground'),
    );
  }

  dispose(): void {
    for (const disposable of this.#disposables) disposable.dispose();
  }

  /** The innermost first. */
  #known(): Promise<readonly string[]> {
    this.#directories ??= findDirectories();
    return this.#directories;
  }

  #isIgnored(directory: string, path: string): Promise<boolean> {
    const questions = this.#waiting.get(directory) ?? [];
    if (questions.length === 0) {
      this.#waiting.set(directory, questions);
      setImmediate(() => void this.#ask(directory));
    }
    return new Promise((answer) => questions.push({ path, answer }));
  }

  async #ask(directory: string): Promise<void> {
    const questions = this.#waiting.get(directory) ?? [];
    this.#waiting.delete(directory);
    const paths = questions.map(({ path }) => path);
    const ignored = await this.#engine
      .request('snapshot.ignored', { directory, paths })
      .catch((): readonly boolean[] => []);
    for (const [index, { answer }] of questions.entries()) answer(ignored[index] === true);
  }
}

async function findDirectories(): Promise<readonly string[]> {
  const files = await vscode.workspace.findFiles(`**/${IGNORE_FILE}`, '**/{node_modules,.git}/**');
  const folders = files.map((uri) => vscode.Uri.joinPath(uri, '..').fsPath);
  return folders.sort((a, b) => b.length - a.length);
}
