import * as vscode from 'vscode';
import { TREE_VIEW } from '../contributions/contribution.ts';
import type { EngineClient } from '../engine-client.ts';
import { changedNodes, nodesAbout, rootChanged, topmost } from './changes.ts';
import { TreeFeed } from './feed.ts';
import { childrenOf, endpointNodeId, type NodeId, nodeOf, PAGE, parentOf, type TreeNode } from './nodes.ts';
import { present } from './present.ts';
import {
  EMPTY,
  isSettled,
  reduce,
  type StreamState,
  type TreeEvent,
  type TreeState,
  unwellEndpoints,
} from './state.ts';

const FIRE_MS = 100;
const t = vscode.l10n.t;

/** The tree "AKS ML". Its elements are ids, so that VS Code keeps expansion and selection by itself. */
export class TreeView implements vscode.TreeDataProvider<NodeId>, vscode.Disposable {
  readonly view: vscode.TreeView<NodeId>;
  readonly #feed: TreeFeed;
  readonly #engine: EngineClient;
  readonly #scopes: () => readonly { readonly key: string; readonly scope: { readonly folder: string } }[];
  readonly #changed = new vscode.EventEmitter<NodeId[] | undefined>();
  readonly #stateChanged = new vscode.EventEmitter<TreeState>();
  readonly #about = new Set<NodeId>();
  readonly #focus: vscode.Disposable;
  #state: TreeState = EMPTY;
  /** What VS Code has been told of. */
  #shown: TreeState = EMPTY;
  readonly #loading = new Set<NodeId>();
  #timer: NodeJS.Timeout | undefined;
  #started = false;

  readonly onDidChangeTreeData = this.#changed.event;
  /** After every change, for what else shows a part of it. */
  readonly onDidChangeState = this.#stateChanged.event;

  constructor(
    engine: EngineClient,
    scopes: () => readonly { readonly key: string; readonly scope: { readonly folder: string } }[],
    drop: vscode.TreeDragAndDropController<NodeId>,
  ) {
    this.#engine = engine;
    this.#scopes = scopes;
    this.#feed = new TreeFeed(engine, (event) => this.#dispatch(event));
    this.view = vscode.window.createTreeView<NodeId>(TREE_VIEW, {
      treeDataProvider: this,
      canSelectMany: true,
      showCollapseAll: true,
      dragAndDropController: drop,
    });
    this.view.onDidChangeVisibility(({ visible }) => {
      if (visible) this.#fireSoon();
      this.#feed.setVisible(visible);
    });
    this.#focus = vscode.window.onDidChangeWindowState(({ focused }) => {
      if (focused) this.#feed.lookAgain();
    });
  }

  get state(): TreeState {
    return this.#state;
  }

  node(id: NodeId): TreeNode | undefined {
    return nodeOf(this.#state, id);
  }

  getChildren(id?: NodeId): NodeId[] {
    if (!vscode.workspace.isTrusted) return [];
    this.start();
    if (id !== undefined && this.node(id)?.kind === 'history') void this.#loadHistory(parentOf(id) ?? '');
    return [...childrenOf(this.#state, id)];
  }

  getParent(id: NodeId): NodeId | undefined {
    return parentOf(id);
  }

  getTreeItem(id: NodeId): vscode.TreeItem {
    const node = this.node(id);
    // Gone since it was listed: the next event takes it away.
    if (node === undefined) return { id, label: '' };
    const { label, description, icon, contextValue, expands, spoken, command } = present(node, t);
    const item = new vscode.TreeItem(label, COLLAPSIBLE[expands]);
    item.id = id;
    item.contextValue = contextValue;
    if (description !== undefined) item.description = description;
    if (icon) item.iconPath = new vscode.ThemeIcon(icon.id, icon.color ? new vscode.ThemeColor(icon.color) : undefined);
    if (spoken !== undefined) item.accessibilityInformation = { label: spoken };
    if (command) {
      item.command = {
        command: command.id,
        title: command.title,
        ...(command.arguments ? { arguments: [...command.arguments] } : {}),
      };
    }
    return item;
  }

  async resolveTreeItem(item: vscode.TreeItem, id: NodeId): Promise<vscode.TreeItem> {
    const { tooltip } = await import('./tooltip.ts');
    const node = this.node(id);
    const text = node && tooltip(node, t);
    if (text !== undefined) item.tooltip = new vscode.MarkdownString(text);
    return item;
  }

  /** With the first look: until then no process of the engine runs. */
  start(): void {
    if (this.#started || !vscode.workspace.isTrusted) return;
    this.#started = true;
    this.#feed.follow(this.#scopes());
    // Whoever asked gets them as the answer.
    this.#shown = this.#state;
  }

  /** Folders, settings or trust have changed. */
  follow(): void {
    if (this.#started) this.#feed.follow(this.#scopes());
    else this.#changed.fire(undefined);
  }

  /** Opens the workspaces anew; also what was tried in vain is tried again. */
  refresh(): void {
    this.start();
    this.#feed.refresh();
  }

  /** Once every workspace has been looked at, for better or worse; what is asked then is asked of all there is. */
  async settled(): Promise<TreeState> {
    this.start();
    while (!isSettled(this.#state)) {
      await new Promise<void>((resolve) => {
        const listener = this.onDidChangeState(() => {
          listener.dispose();
          resolve();
        });
      });
    }
    return this.#state;
  }

  showMore(id: NodeId): void {
    const node = this.node(id);
    if (node?.kind === 'more') this.#dispatch({ type: 'limit', node: node.parent, limit: node.shown + PAGE });
  }

  /** Of a node whose log is streamed, or no longer is. */
  markStream(node: NodeId, state: StreamState | undefined): void {
    if (this.#state.streams.get(node) !== state) this.#dispatch({ type: 'stream', node, state });
  }

  /** Shows an endpoint and selects it, on whichever page of the list it is. */
  async revealEndpoint(workspaceKey: string, target: string, name: string): Promise<void> {
    const id = endpointNodeId(workspaceKey, target, name);
    const group = parentOf(id);
    while (group !== undefined && this.node(id) && !childrenOf(this.#state, group).includes(id)) {
      const limit = (this.#state.limits.get(group) ?? PAGE) + PAGE;
      this.#dispatch({ type: 'limit', node: group, limit });
      this.#fire();
    }
    await this.view.reveal(id, { select: true, focus: true, expand: true });
  }

  /** Of an endpoint whose newest revisions are not known yet. */
  async #loadHistory(endpointId: NodeId): Promise<void> {
    const node = this.node(endpointId);
    if (node?.kind !== 'endpoint' || this.#loading.has(endpointId)) return;
    const known = this.#state.histories.get(endpointId);
    const wanted = node.endpoint.spec.versions.map(({ revision }) => revision);
    if (known?.value && wanted.every((digest) => known.value?.some((one) => one.digest === digest))) return;
    this.#loading.add(endpointId);
    const scope = { ...node.workspace.scope, target: node.target, name: node.endpoint.metadata.name };
    const history = await this.#engine.request('revision.list', scope).then(
      (value) => ({ value }),
      (error: unknown) => ({
        error: { code: 'revision.list', message: error instanceof Error ? error.message : String(error) },
      }),
    );
    this.#loading.delete(endpointId);
    this.#dispatch({ type: 'history', node: endpointId, history });
  }

  #dispatch(event: TreeEvent): void {
    this.#state = reduce(this.#state, event);
    for (const id of nodesAbout(event)) this.#about.add(id);
    this.#stateChanged.fire(this.#state);
    this.#fireSoon();
  }

  #fireSoon(): void {
    this.#timer ??= setTimeout(() => this.#fire(), FIRE_MS);
  }

  /** Nobody sees it while it is hidden; the badge, everybody. */
  #fire(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#showBadge();
    if (!this.view.visible) return;
    const [before, after] = [this.#shown, this.#state];
    const about = [...this.#about];
    this.#about.clear();
    this.#shown = after;
    if (rootChanged(before, after)) {
      this.#changed.fire(undefined);
      return;
    }
    const ids = new Set(about.flatMap((id) => changedNodes(before, after, id)));
    if (ids.size > 0) this.#changed.fire([...topmost(ids)]);
    // What somebody has looked at goes on with each deploy.
    for (const [id, { value }] of after.histories) if (value) void this.#loadHistory(id);
  }

  #showBadge(): void {
    const unwell = unwellEndpoints(this.#state);
    if (this.view.badge?.value === unwell.length || (unwell.length === 0 && this.view.badge === undefined)) return;
    this.view.badge =
      unwell.length === 0
        ? undefined
        : { value: unwell.length, tooltip: t('Failing endpoints: {0}', unwell.slice(0, 10).join(', ')) };
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#focus.dispose();
    this.#feed.dispose();
    this.view.dispose();
    this.#changed.dispose();
    this.#stateChanged.dispose();
  }
}

const COLLAPSIBLE = {
  never: vscode.TreeItemCollapsibleState.None,
  collapsed: vscode.TreeItemCollapsibleState.Collapsed,
  expanded: vscode.TreeItemCollapsibleState.Expanded,
} as const;
