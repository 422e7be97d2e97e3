import type { EndpointChange } from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import type { RevisionView, TargetView, WorkspaceScope, WorkspaceView } from '../../contract/engine-api.ts';
import type { RegisteredEnvironment } from '../../contract/environment.ts';
import type { SerializedError } from '../../contract/error.ts';
import { isUnwell } from '../../contract/look.ts';
import type { Model } from '../../contract/model.ts';

/** All that the tree shows, as the engine told it. Never changed in place. */
export interface TreeState {
  readonly workspaces: readonly WorkspaceState[];
  /** By node: how many of its children are shown, where that is not the first page. */
  readonly limits: ReadonlyMap<string, number>;
  /** By endpoint node; absent until somebody looks. */
  readonly histories: ReadonlyMap<string, Loadable<readonly RevisionView[]>>;
  /** By node: its log is streamed in this window. */
  readonly streams: ReadonlyMap<string, StreamState>;
}

export type StreamState = 'running' | 'paused';

export interface WorkspaceState {
  /** Of the folder, or of the workspace named by a setting. */
  readonly key: string;
  readonly scope: WorkspaceScope;
  readonly view?: WorkspaceView;
  /** Why it could not be opened. */
  readonly error?: SerializedError;
  readonly targets: Loadable<readonly TargetView[]>;
  readonly models: Loadable<readonly Model[]>;
  readonly environments: Loadable<readonly RegisteredEnvironment[]>;
  /** By target. */
  readonly endpoints: ReadonlyMap<string, EndpointsState>;
}

/** What was read last stays beside the error of a later attempt. */
export interface Loadable<T> {
  readonly value?: T;
  readonly error?: SerializedError;
}

export interface EndpointsState {
  readonly byName: ReadonlyMap<string, Endpoint>;
  /** While a listing is under way: what it has told so far. */
  readonly listing?: ReadonlySet<string>;
  readonly synced: boolean;
  readonly error?: SerializedError;
}

export type Part = 'targets' | 'models' | 'environments';

export type TreeEvent =
  | {
      readonly type: 'workspaces';
      readonly workspaces: readonly { readonly key: string; readonly scope: WorkspaceScope }[];
    }
  | { readonly type: 'opened'; readonly key: string; readonly view: WorkspaceView }
  | { readonly type: 'notOpened'; readonly key: string; readonly error: SerializedError }
  | { readonly type: 'targets'; readonly key: string; readonly value: readonly TargetView[] }
  | { readonly type: 'models'; readonly key: string; readonly value: readonly Model[] }
  | { readonly type: 'environments'; readonly key: string; readonly value: readonly RegisteredEnvironment[] }
  | { readonly type: 'failed'; readonly key: string; readonly part: Part; readonly error: SerializedError }
  /** The stream of a target's endpoints is opened, perhaps again: what it tells first is the whole list. */
  | { readonly type: 'listing'; readonly key: string; readonly target: string }
  | {
      readonly type: 'endpoints';
      readonly key: string;
      readonly target: string;
      readonly changes: readonly EndpointChange[];
    }
  | { readonly type: 'endpointsFailed'; readonly key: string; readonly target: string; readonly error: SerializedError }
  | { readonly type: 'history'; readonly node: string; readonly history: Loadable<readonly RevisionView[]> }
  | { readonly type: 'limit'; readonly node: string; readonly limit: number }
  | { readonly type: 'stream'; readonly node: string; readonly state: StreamState | undefined };

export const EMPTY: TreeState = { workspaces: [], limits: new Map(), histories: new Map(), streams: new Map() };

export function reduce(state: TreeState, event: TreeEvent): TreeState {
  switch (event.type) {
    case 'workspaces':
      return {
        ...state,
        workspaces: event.workspaces.map(
          ({ key, scope }) => state.workspaces.find((workspace) => workspace.key === key) ?? blank(key, scope),
        ),
      };
    case 'opened':
      return inWorkspace(state, event.key, ({ error: _, ...workspace }) => ({ ...workspace, view: event.view }));
    case 'notOpened':
      return inWorkspace(state, event.key, (workspace) => ({ ...workspace, error: event.error }));
    case 'targets':
      return inWorkspace(state, event.key, (workspace) => withTargets(workspace, event.value));
    case 'models':
      return inWorkspace(state, event.key, (workspace) => ({ ...workspace, models: { value: event.value } }));
    case 'environments':
      return inWorkspace(state, event.key, (workspace) => ({ ...workspace, environments: { value: event.value } }));
    case 'failed':
      return inWorkspace(state, event.key, (workspace) => ({
        ...workspace,
        [event.part]: { ...workspace[event.part], error: event.error },
      }));
    case 'listing':
      return onTarget(state, event.key, event.target, (endpoints) => ({ ...endpoints, listing: new Set() }));
    case 'endpoints':
      return onTarget(state, event.key, event.target, (endpoints) => withChanges(endpoints, event.changes));
    case 'endpointsFailed':
      return onTarget(state, event.key, event.target, (endpoints) => ({ ...endpoints, error: event.error }));
    case 'history':
      return { ...state, histories: new Map([...state.histories, [event.node, event.history]]) };
    case 'limit':
      return { ...state, limits: new Map([...state.limits, [event.node, event.limit]]) };
    case 'stream':
      return { ...state, streams: withStream(state.streams, event.node, event.state) };
    default:
      return event satisfies never;
  }
}

function withStream(streams: TreeState['streams'], node: string, state: StreamState | undefined): TreeState['streams'] {
  const others = [...streams].filter(([other]) => other !== node);
  return new Map(state === undefined ? others : [...others, [node, state]]);
}

function blank(key: string, scope: WorkspaceScope): WorkspaceState {
  return { key, scope, targets: {}, models: {}, environments: {}, endpoints: new Map() };
}

function inWorkspace(state: TreeState, key: string, change: (workspace: WorkspaceState) => WorkspaceState): TreeState {
  return {
    ...state,
    workspaces: state.workspaces.map((workspace) => (workspace.key === key ? change(workspace) : workspace)),
  };
}

/** What a target held goes with it. */
function withTargets(workspace: WorkspaceState, targets: readonly TargetView[]): WorkspaceState {
  const names = targets.map(({ listing }) => listing.name);
  return {
    ...workspace,
    targets: { value: targets },
    endpoints: new Map([...workspace.endpoints].filter(([name]) => names.includes(name))),
  };
}

const NO_ENDPOINTS: EndpointsState = { byName: new Map(), synced: false };

function onTarget(
  state: TreeState,
  key: string,
  target: string,
  change: (endpoints: EndpointsState) => EndpointsState,
): TreeState {
  return inWorkspace(state, key, (workspace) => ({
    ...workspace,
    endpoints: new Map([...workspace.endpoints, [target, change(workspace.endpoints.get(target) ?? NO_ENDPOINTS)]]),
  }));
}

function withChanges(endpoints: EndpointsState, changes: readonly EndpointChange[]): EndpointsState {
  const byName = new Map(endpoints.byName);
  let listing = endpoints.listing && new Set(endpoints.listing);
  let { synced } = endpoints;
  for (const change of changes) {
    switch (change.type) {
      case 'present':
      case 'changed':
        byName.set(change.endpoint.metadata.name, change.endpoint);
        listing?.add(change.endpoint.metadata.name);
        break;
      case 'deleted':
        byName.delete(change.name);
        listing?.delete(change.name);
        break;
      case 'synced':
        synced = true;
        for (const name of listing === undefined ? [] : [...byName.keys()])
          if (!listing?.has(name)) byName.delete(name);
        listing = undefined;
        break;
      default:
        change satisfies never;
    }
  }
  return { byName, synced, ...(listing === undefined ? {} : { listing }) };
}

/** For the badge: endpoints that ask for a person. */
export function unwellEndpoints({ workspaces }: TreeState): readonly string[] {
  const found = workspaces.flatMap(({ endpoints }) =>
    [...endpoints].flatMap(([target, { byName }]) =>
      [...byName.values()].filter(({ status }) => isUnwell(status)).map(({ metadata }) => `${target}/${metadata.name}`),
    ),
  );
  // Two workspaces may share a target.
  return [...new Set(found)].sort();
}

/** Everything has been told once, or has failed. */
export function isSettled({ workspaces }: TreeState): boolean {
  return workspaces.every(({ error, targets, models, endpoints }) => {
    if (error !== undefined) return true;
    const known = targets.value?.map(({ listing }) => endpoints.get(listing.name));
    return (
      (targets.error !== undefined || known?.every((one) => one?.synced || one?.error !== undefined) === true) &&
      (models.value !== undefined || models.error !== undefined)
    );
  });
}
