import * as vscode from 'vscode';
import { configurationKind } from './documents.ts';
import { notationOf } from './notation.ts';

/**
 * Shows a configuration file that is named `.json` and written in YAML, if only for its `#` comments, as the YAML that it is: VS Code's JSON
 * would call its comments errors. Looked at when a file is opened and when it is saved; a language that a person chooses stays.
 */
export class CommentedFiles implements vscode.Disposable {
  readonly #disposables: readonly vscode.Disposable[];
  /** Those that are shown as YAML by this. */
  readonly #shown = new Set<string>();

  constructor() {
    this.#disposables = [
      vscode.workspace.onDidOpenTextDocument((document) => this.#opened(document)),
      vscode.workspace.onDidSaveTextDocument((document) => this.#saved(document)),
      // A change of the language closes and opens a document as well, under the tab that shows it.
      vscode.workspace.onDidCloseTextDocument(({ uri }) => {
        if (!isInTab(uri)) this.#shown.delete(uri.toString());
      }),
    ];
    for (const document of vscode.workspace.textDocuments) this.#opened(document);
  }

  dispose(): void {
    for (const disposable of this.#disposables) disposable.dispose();
  }

  #opened(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    if (!isNamedJson(document) || document.languageId !== 'json' || this.#shown.has(key)) return;
    if (notationOf(document.getText()) !== 'yaml') return;
    this.#shown.add(key);
    void vscode.languages.setTextDocumentLanguage(document, 'yaml');
  }

  #saved(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    if (document.languageId !== 'yaml' || !this.#shown.has(key)) {
      this.#opened(document);
    } else if (notationOf(document.getText()) === 'json') {
      this.#shown.delete(key);
      void vscode.languages.setTextDocumentLanguage(document, 'json');
    }
  }
}

function isNamedJson({ uri }: vscode.TextDocument): boolean {
  return uri.scheme === 'file' && uri.path.endsWith('.json') && configurationKind(uri.path) !== undefined;
}

function isInTab(uri: vscode.Uri): boolean {
  const key = uri.toString();
  return vscode.window.tabGroups.all
    .flatMap(({ tabs }) => tabs)
    .some(({ input }) => input instanceof vscode.TabInputText && input.uri.toString() === key);
}
