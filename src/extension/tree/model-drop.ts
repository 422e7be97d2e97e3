import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { AksmlWindow } from '../aksml-window.ts';
import type { NodeId } from './nodes.ts';

/** A file or folder from the Explorer, dropped onto the models, is registered. */
export class ModelDrop implements vscode.TreeDragAndDropController<NodeId> {
  readonly dropMimeTypes = ['text/uri-list'];
  readonly dragMimeTypes = [];
  readonly #window: () => AksmlWindow;

  constructor(window: () => AksmlWindow) {
    this.#window = window;
  }

  async handleDrop(id: NodeId | undefined, data: vscode.DataTransfer): Promise<void> {
    const window = this.#window();
    const node = id === undefined ? undefined : window.tree.node(id);
    const onModels = node?.kind === 'group' ? node.group === 'models' : node?.kind.startsWith('model');
    const text = await data.get('text/uri-list')?.asString();
    if (node === undefined || text === undefined) return;
    if (!onModels && node.kind !== 'hint') return;
    const files = text
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => vscode.Uri.parse(line, true))
      .filter(({ scheme }) => scheme === 'file');
    const { registerFile } = await import('../commands/model.ts');
    for (const file of files) {
      await registerFile(
        window,
        node.workspace.scope,
        file.fsPath,
        suggestedName(node.kind === 'modelName' ? node.name : basename(file.fsPath)),
      );
    }
  }
}

/** v1's rule for names: letters, digits, "-", "." and "_". */
function suggestedName(name: string): string {
  return (
    name
      .replace(/\.[^.]*$/, '')
      .replace(/[^a-zA-Z0-9._-]+/g, '-')
      .replace(/^[^a-zA-Z0-9]+/, '') || 'model'
  );
}
