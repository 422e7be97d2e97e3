import type * as vscode from 'vscode';
import type { EngineClient } from './engine-client.ts';
import type { LogSessions } from './logs/log-sessions.ts';
import type { ShownDocuments } from './shown-documents.ts';
import type { TreeNode } from './tree/nodes.ts';
import type { TreeView } from './tree/tree-view.ts';

/** What the parts of the extension share in one window of VS Code. */
export interface AksmlWindow {
  readonly context: vscode.ExtensionContext;
  readonly engine: EngineClient;
  readonly output: vscode.LogOutputChannel;
  readonly tree: TreeView;
  readonly documents: ShownDocuments;
  readonly logs: () => Promise<LogSessions>;
}

/** What a command was called on: nodes of the tree, files of the Explorer, or nothing. */
export interface CommandTarget {
  readonly node: TreeNode | undefined;
  /** All that are selected, the first included. */
  readonly nodes: readonly TreeNode[];
  readonly uri: vscode.Uri | undefined;
  readonly uris: readonly vscode.Uri[];
  /** As VS Code, or another part of the extension, gave them. */
  readonly arguments: readonly unknown[];
}

export type CommandHandler = (window: AksmlWindow, on: CommandTarget) => Promise<unknown> | unknown;
