import type { TargetView, WorkspaceScope } from '../../contract/engine-api.ts';
import { AksmlError, type SerializedError } from '../../contract/error.ts';
import type { EngineClient } from '../engine-client.ts';
import type { TreeEvent } from './state.ts';

export interface FedWorkspace {
  readonly key: string;
  readonly scope: WorkspaceScope;
}

interface Subscription {
  readonly dispose: () => void;
}

/** Keeps the tree's state up with the engine: one set of streams a workspace, one stream of endpoints a target. */
export class TreeFeed {
  readonly #engine: EngineClient;
  readonly #dispatch: (event: TreeEvent) => void;
  readonly #workspaces = new Map<string, WorkspaceFeed>();

  constructor(engine: EngineClient, dispatch: (event: TreeEvent) => void) {
    this.#engine = engine;
    this.#dispatch = dispatch;
  }

  /** Streams of workspaces that are not among these end. */
  follow(workspaces: readonly FedWorkspace[]): void {
    this.#dispatch({ type: 'workspaces', workspaces });
    for (const [key, feed] of this.#workspaces) {
      if (workspaces.some((workspace) => workspace.key === key)) continue;
      feed.dispose();
      this.#workspaces.delete(key);
    }
    for (const workspace of workspaces) {
      if (this.#workspaces.has(workspace.key)) continue;
      const feed = new WorkspaceFeed(this.#engine, workspace, this.#dispatch);
      this.#workspaces.set(workspace.key, feed);
      feed.open();
    }
  }

  /** While nobody looks, only endpoints are followed: the badge tells of them. */
  setVisible(visible: boolean): void {
    for (const feed of this.#workspaces.values()) feed.setVisible(visible);
  }

  /** Of what is in a remote registry, which tells nobody of a change. */
  lookAgain(): void {
    for (const feed of this.#workspaces.values()) feed.lookAgain();
  }

  /** Opens every workspace anew. */
  refresh(): void {
    for (const feed of this.#workspaces.values()) feed.open();
  }

  dispose(): void {
    for (const feed of this.#workspaces.values()) feed.dispose();
    this.#workspaces.clear();
  }
}

class WorkspaceFeed {
  readonly #engine: EngineClient;
  readonly #key: string;
  readonly #scope: WorkspaceScope;
  readonly #dispatch: (event: TreeEvent) => void;
  readonly #endpoints = new Map<string, Subscription>();
  #content: readonly Subscription[] = [];
  #opened = new AbortController();
  #visible = true;
  #isOpen = false;

  constructor(engine: EngineClient, { key, scope }: FedWorkspace, dispatch: (event: TreeEvent) => void) {
    this.#engine = engine;
    this.#key = key;
    this.#scope = scope;
    this.#dispatch = dispatch;
  }

  open(): void {
    this.dispose();
    this.#opened = new AbortController();
    void this.#open(this.#opened.signal);
  }

  async #open(signal: AbortSignal): Promise<void> {
    const key = this.#key;
    try {
      const view = await this.#engine.request('workspace.open', this.#scope, { signal });
      if (signal.aborted) return;
      this.#dispatch({ type: 'opened', key, view });
      this.#isOpen = true;
      this.#followContent();
    } catch (error) {
      if (!signal.aborted) this.#dispatch({ type: 'notOpened', key, error: serialized(error) });
    }
  }

  setVisible(visible: boolean): void {
    if (this.#visible === visible) return;
    this.#visible = visible;
    if (visible && this.#isOpen) this.#followContent();
    if (!visible) this.#leaveContent();
  }

  lookAgain(): void {
    if (!this.#isOpen || !this.#visible) return;
    // Whoever follows the content is told what is wrong with it.
    this.#engine.request('content.refresh', this.#scope).catch(() => undefined);
  }

  #followContent(): void {
    this.#leaveContent();
    const [key, scope] = [this.#key, this.#scope];
    this.#content = [
      this.#engine.subscribe('target.watch', scope, {
        onEvent: (value) => {
          this.#dispatch({ type: 'targets', key, value });
          this.#followEndpoints(value);
        },
        onError: (error) => this.#dispatch({ type: 'failed', key, part: 'targets', error: error.toJSON() }),
      }),
      this.#engine.subscribe('model.watch', scope, {
        onEvent: (value) => this.#dispatch({ type: 'models', key, value }),
        onError: (error) => this.#dispatch({ type: 'failed', key, part: 'models', error: error.toJSON() }),
      }),
      this.#engine.subscribe('environment.watch', scope, {
        onEvent: (value) => this.#dispatch({ type: 'environments', key, value }),
        onError: (error) => this.#dispatch({ type: 'failed', key, part: 'environments', error: error.toJSON() }),
      }),
    ];
  }

  #leaveContent(): void {
    for (const subscription of this.#content) subscription.dispose();
    this.#content = [];
  }

  #followEndpoints(targets: readonly TargetView[]): void {
    const names = targets.map(({ listing }) => listing.name);
    for (const [name, subscription] of this.#endpoints) {
      if (names.includes(name)) continue;
      subscription.dispose();
      this.#endpoints.delete(name);
    }
    const key = this.#key;
    for (const target of names) {
      if (this.#endpoints.has(target)) continue;
      const subscription = this.#engine.subscribe(
        'endpoint.watch',
        { ...this.#scope, target },
        {
          onOpen: () => this.#dispatch({ type: 'listing', key, target }),
          onEvent: (changes) => this.#dispatch({ type: 'endpoints', key, target, changes }),
          onError: (error) => this.#dispatch({ type: 'endpointsFailed', key, target, error: error.toJSON() }),
        },
      );
      this.#endpoints.set(target, subscription);
    }
  }

  dispose(): void {
    this.#opened.abort();
    this.#isOpen = false;
    this.#leaveContent();
    for (const subscription of this.#endpoints.values()) subscription.dispose();
    this.#endpoints.clear();
  }
}

function serialized(error: unknown): SerializedError {
  if (AksmlError.is(error)) return error.toJSON();
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}
