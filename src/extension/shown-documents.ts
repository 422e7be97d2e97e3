import { basename } from 'node:path';
import * as vscode from 'vscode';

const SCHEME = 'aksml-shown';
const MOST = 50;
/** A line of a Python traceback that lies in what was deployed: below the app root of a replica, here or in a container. */
const DEPLOYED_FILE = /File "([^"]*\/(?:app|azureml-app)\/([^"]+))", line (\d+)/g;

class DeployedLink extends vscode.DocumentLink {
  readonly path: string;
  readonly line: number;

  constructor(range: vscode.Range, path: string, line: number) {
    super(range);
    this.path = path;
    this.line = line;
  }
}

/** Texts that are shown and belong to no file: they can be read and copied, and are never asked to be saved. */
export class ShownDocuments implements vscode.TextDocumentContentProvider, vscode.DocumentLinkProvider<DeployedLink> {
  readonly #texts = new Map<string, string>();
  #count = 0;

  /** What VS Code has to know of it; also links the tracebacks in the logs of endpoints. */
  register(): vscode.Disposable {
    return vscode.Disposable.from(
      vscode.workspace.registerTextDocumentContentProvider(SCHEME, this),
      vscode.languages.registerDocumentLinkProvider([{ scheme: SCHEME }, { scheme: 'output', language: 'log' }], this),
    );
  }

  async show(title: string, language: string, content: string): Promise<void> {
    this.#count += 1;
    const uri = vscode.Uri.from({ scheme: SCHEME, path: `/${title}`, query: `${this.#count}` });
    this.#texts.set(uri.toString(), content);
    for (const [old] of [...this.#texts].slice(0, -MOST)) this.#texts.delete(old);
    const document = await vscode.workspace.openTextDocument(uri);
    await vscode.languages.setTextDocumentLanguage(document, language);
    await vscode.window.showTextDocument(document, { preview: true });
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#texts.get(uri.toString()) ?? '';
  }

  provideDocumentLinks(document: vscode.TextDocument): DeployedLink[] {
    return [...document.getText().matchAll(DEPLOYED_FILE)].map(
      ({ 0: all, 1: file = '', 2: path = '', 3: line, index }) => {
        const start = index + all.indexOf(file);
        const range = new vscode.Range(document.positionAt(start), document.positionAt(start + file.length));
        const link = new DeployedLink(range, path, Number(line));
        link.tooltip = vscode.l10n.t('Open this file of the project');
        return link;
      },
    );
  }

  /** The file of the project that the deployed one was taken from, by as much of its path as is there. */
  async resolveDocumentLink(link: DeployedLink): Promise<DeployedLink> {
    const parts = link.path.split('/');
    for (let from = 0; from < parts.length; from++) {
      const [file] = await vscode.workspace.findFiles(
        `**/${parts.slice(from).join('/')}`,
        '**/{node_modules,.venv,venv}/**',
        1,
      );
      if (file === undefined) continue;
      link.target = file.with({ fragment: `L${link.line}` });
      return link;
    }
    void vscode.window.setStatusBarMessage(vscode.l10n.t('{0} is not in this project.', basename(link.path)), 5000);
    return link;
  }
}
