import { basename } from 'node:path';
import * as vscode from 'vscode';
import type { AksmlWindow } from '../aksml-window.ts';
import type { NodeId, TreeNode } from './nodes.ts';

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
    const text = await data.get('text/uri-list')?.asString();
    if (node === undefined || text === undefined || !isOfModels(node)) return;
    const files = text
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => vscode.Uri.parse(line, true))
      .filter(({ scheme }) => scheme === 'file');
    const { registerFile } = await import('../commands/model.ts');
    for (const file of files) {
      const name = nameOf(node) ?? suggestedName(basename(file.fsPath));
      await registerFile(window, node.workspace.scope, file.fsPath, name);
    }
  }
}

function isOfModels(node: TreeNode): boolean {
  if (node.kind === 'group') return node.group === 'models';
  if (node.kind === 'hint') return node.hint === 'model';
  return node.kind === 'modelName' || node.kind === 'model';
}

/** Of the model that it was dropped onto, as whose next version it is registered. */
function nameOf(node: TreeNode): string | undefined {
  if (node.kind === 'model') return node.model.name;
  return node.kind === 'modelName' ? node.name : undefined;
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
