import { posix } from 'node:path';
import * as vscode from 'vscode';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { EngineClient } from '../engine-client.ts';
import { type ConfigurationKind, configurationKind } from './documents.ts';
import { rangesIn } from './ranges.ts';

const PAUSE_MS = 250;

const SEVERITIES = {
  error: vscode.DiagnosticSeverity.Error,
  warning: vscode.DiagnosticSeverity.Warning,
  notice: vscode.DiagnosticSeverity.Information,
} as const;

/** Shows what the engine would say of the configuration files that are open, saved or not, as they are written. */
export class ConfigurationDiagnostics implements vscode.Disposable {
  readonly #engine: Pick<EngineClient, 'request'>;
  readonly #collection = vscode.languages.createDiagnosticCollection('aksml');
  readonly #disposables: vscode.Disposable[] = [this.#collection];
  readonly #pending = new Map<string, NodeJS.Timeout>();
  readonly #running = new Map<string, AbortController>();
  /** Behind each diagnostic, for its fixes. */
  readonly #problems = new WeakMap<vscode.Diagnostic, Problem>();

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
    this.#disposables.push(
      vscode.workspace.onDidOpenTextDocument((document) => this.#schedule(document)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.#schedule(document)),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => this.#forget(uri)),
      vscode.workspace.onDidSaveTextDocument((saved) => this.#scheduleThoseThatName(saved)),
    );
    for (const document of vscode.workspace.textDocuments) this.#schedule(document);
  }

  problemOf(diagnostic: vscode.Diagnostic): Problem | undefined {
    return this.#problems.get(diagnostic);
  }

  /** Judges a file now and answers its problems. */
  async validate(document: vscode.TextDocument): Promise<readonly Problem[]> {
    const kind = kindOf(document);
    const folder = vscode.workspace.getWorkspaceFolder(document.uri);
    if (kind === undefined || folder === undefined) return [];
    const { fsPath: path } = document.uri;
    const key = document.uri.toString();
    this.#running.get(key)?.abort();
    const abort = new AbortController();
    this.#running.set(key, abort);
    const version = document.version;
    const file = kind === 'inferenceconfig' ? { inferenceConfigFile: path } : { deploymentConfigFile: path };
    try {
      const { problems } = await this.#engine.request(
        'configuration.validate',
        { folder: folder.uri.fsPath, ...file, texts: { [path]: document.getText() } },
        { signal: abort.signal },
      );
      // An answer that was on its way when the file was closed comes too late.
      if (document.version === version && !document.isClosed) this.#show(document, problems);
      return problems;
    } finally {
      if (this.#running.get(key) === abort) this.#running.delete(key);
    }
  }

  dispose(): void {
    for (const timer of this.#pending.values()) clearTimeout(timer);
    for (const abort of this.#running.values()) abort.abort();
    for (const disposable of this.#disposables) disposable.dispose();
  }

  /** The scoring script and the conda file are part of the verdict on a file that names them. */
  #scheduleThoseThatName(saved: vscode.TextDocument): void {
    const name = posix.basename(saved.uri.path);
    for (const document of vscode.workspace.textDocuments) {
      if (document === saved || document.getText().includes(name)) this.#schedule(document);
    }
  }

  #schedule(document: vscode.TextDocument): void {
    if (kindOf(document) === undefined || !vscode.workspace.isTrusted) return;
    const key = document.uri.toString();
    clearTimeout(this.#pending.get(key));
    const judge = () => {
      this.#pending.delete(key);
      void this.validate(document).catch((error: unknown) => {
        if (!AksmlError.isCancelled(error)) this.#collection.delete(document.uri);
      });
    };
    this.#pending.set(key, setTimeout(judge, PAUSE_MS));
  }

  #forget(uri: vscode.Uri): void {
    const key = uri.toString();
    clearTimeout(this.#pending.get(key));
    this.#pending.delete(key);
    this.#running.get(key)?.abort();
    this.#collection.delete(uri);
  }

  /** Problems of other files, such as the scoring script, stand at the key that names them. */
  #show(document: vscode.TextDocument, problems: readonly Problem[]): void {
    const rangeOf = rangesIn(document);
    const diagnostics = problems.map((problem) => {
      const text = [problem.message, problem.remedy].filter(Boolean).join(' ');
      const diagnostic = new vscode.Diagnostic(rangeOf(problem), text, SEVERITIES[problem.severity]);
      diagnostic.source = 'aksml';
      diagnostic.code = problem.code;
      if (problem.code === 'key.unknown' || problem.code === 'key.noEffect') {
        diagnostic.tags = [vscode.DiagnosticTag.Unnecessary];
      }
      this.#problems.set(diagnostic, problem);
      return diagnostic;
    });
    this.#collection.set(document.uri, diagnostics);
  }
}

function kindOf({ uri }: vscode.TextDocument): ConfigurationKind | undefined {
  return uri.scheme === 'file' ? configurationKind(uri.path) : undefined;
}
