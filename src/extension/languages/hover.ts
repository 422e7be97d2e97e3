import { findNodeAtOffset, getNodePath, getNodeValue, parseTree } from 'jsonc-parser';
import * as vscode from 'vscode';
import { signalOf } from '../cancellation.ts';
import type { EngineClient } from '../engine-client.ts';

/** What a name in a configuration stands for; the keys themselves are explained by the file's JSON schema. */
export class WorkspaceHovers implements vscode.HoverProvider {
  readonly #engine: Pick<EngineClient, 'request'>;

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
  }

  async provideHover(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.Hover | undefined> {
    const folder = vscode.workspace.getWorkspaceFolder(document.uri)?.uri.fsPath;
    const root = parseTree(document.getText());
    const node = root && findNodeAtOffset(root, document.offsetAt(position));
    if (folder === undefined || node?.type !== 'string' || !vscode.workspace.isTrusted) return undefined;
    const text = await this.#explain(getNodePath(node).join('.'), String(getNodeValue(node)), folder, signalOf(token));
    return text === undefined ? undefined : new vscode.Hover(new vscode.MarkdownString(text));
  }

  async #explain(key: string, value: string, folder: string, signal: AbortSignal): Promise<string | undefined> {
    if (key === 'environment.name') {
      const all = await this.#engine.request('environment.list', { folder, latest: true }, { signal });
      const found = all.find(({ name }) => name === value);
      if (found === undefined) return vscode.l10n.t('There is no registered environment of this name.');
      const pip = found.definition.python.condaDependencies?.pip ?? [];
      return [`**${value}** ${found.version}`, ...pip.map((line) => `- \`${line.replaceAll('`', '')}\``)].join('\n');
    }
    if (key === 'computeTargetName') {
      const all = await this.#engine.request('target.list', { folder }, { signal });
      const found = all.find(({ listing }) => listing.name === value);
      return found === undefined
        ? vscode.l10n.t('There is no compute target of this name; it is deployed to this machine.')
        : `**${value}** (${found.listing.kind})`;
    }
    return undefined;
  }
}
