import { getLocation } from 'jsonc-parser';
import * as vscode from 'vscode';
import { signalOf } from '../cancellation.ts';
import type { EngineClient } from '../engine-client.ts';

interface Candidate {
  readonly value: string;
  readonly detail: string;
}

/** Names that only the live workspace knows: environments, compute targets, and models in tasks. */
export class WorkspaceNames implements vscode.CompletionItemProvider {
  readonly #engine: Pick<EngineClient, 'request'>;

  constructor(engine: Pick<EngineClient, 'request'>) {
    this.#engine = engine;
  }

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionItem[]> {
    const folder = vscode.workspace.getWorkspaceFolder(document.uri)?.uri.fsPath;
    if (folder === undefined || !vscode.workspace.isTrusted) return [];
    const location = getLocation(document.getText(), document.offsetAt(position));
    if (location.isAtPropertyKey) return [];
    const candidates = await this.#candidates(keyOf(location.path), folder, signalOf(token));
    const { previousNode } = location;
    const range =
      previousNode === undefined
        ? undefined
        : new vscode.Range(
            document.positionAt(previousNode.offset),
            document.positionAt(previousNode.offset + previousNode.length),
          );
    return candidates.map(({ value, detail }) => {
      const item = new vscode.CompletionItem(value, vscode.CompletionItemKind.Value);
      item.detail = detail;
      item.insertText = JSON.stringify(value);
      item.filterText = JSON.stringify(value);
      if (range) item.range = range;
      return item;
    });
  }

  async #candidates(key: string, folder: string, signal: AbortSignal): Promise<readonly Candidate[]> {
    switch (key) {
      case 'environment.name':
        return (await this.#engine.request('environment.list', { folder, latest: true }, { signal })).map(
          ({ name, version }) => ({ value: name, detail: vscode.l10n.t('environment, latest version {0}', version) }),
        );
      case 'computeTargetName':
      case 'tasks.*.target':
        return (await this.#engine.request('target.list', { folder }, { signal })).map(({ listing }) => ({
          value: listing.name,
          detail: listing.kind,
        }));
      case 'tasks.*.models.*':
        return (await this.#engine.request('model.list', { folder }, { signal })).map(({ id, framework }) => ({
          value: id,
          detail: framework,
        }));
      default:
        return [];
    }
  }
}

function keyOf(path: readonly (string | number)[]): string {
  return path.map((part) => (typeof part === 'number' ? '*' : part)).join('.');
}
