import type { Cause, Endpoint, ReplicaStatus, VersionSpec, VersionStatus } from '../../contract/endpoint.ts';
import type { RevisionView, TargetView } from '../../contract/engine-api.ts';
import type { RegisteredEnvironment } from '../../contract/environment.ts';
import type { SerializedError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Loadable, StreamState, TreeState, WorkspaceState } from './state.ts';

/** Names a node for good: a path of escaped names from the workspace down. */
export type NodeId = string;

export type GroupName = 'clusters' | 'models' | 'endpoints' | 'environments';
export const GROUPS: readonly GroupName[] = ['endpoints', 'models', 'clusters', 'environments'];

interface InWorkspace {
  readonly id: NodeId;
  readonly workspace: WorkspaceState;
}
interface OfEndpoint extends InWorkspace {
  readonly target: string;
  readonly endpoint: Endpoint;
  /** Of this node's log. */
  readonly stream: StreamState | undefined;
}
interface OfVersion extends OfEndpoint {
  readonly version: VersionSpec;
  readonly status: VersionStatus | undefined;
}

/** A node with all that is known of it; commands get these. */
export type TreeNode =
  | ({ readonly kind: 'workspace' } & InWorkspace)
  | ({ readonly kind: 'group'; readonly group: GroupName } & InWorkspace)
  | ({ readonly kind: 'target'; readonly target: TargetView } & InWorkspace)
  | ({ readonly kind: 'modelName'; readonly name: string; readonly models: readonly Model[] } & InWorkspace)
  | ({ readonly kind: 'model'; readonly model: Model } & InWorkspace)
  | ({ readonly kind: 'endpoint' } & OfEndpoint)
  | ({ readonly kind: 'version' } & OfVersion)
  | ({ readonly kind: 'replica'; readonly replica: ReplicaStatus } & OfVersion)
  | ({ readonly kind: 'cause'; readonly cause: Cause; readonly versionName?: string } & OfEndpoint)
  | ({ readonly kind: 'history'; readonly history: Loadable<readonly RevisionView[]> } & OfEndpoint)
  | ({ readonly kind: 'revision'; readonly revision: RevisionView } & OfEndpoint)
  | ({
      readonly kind: 'environmentName';
      readonly name: string;
      readonly environments: readonly RegisteredEnvironment[];
    } & InWorkspace)
  | ({ readonly kind: 'environment'; readonly environment: RegisteredEnvironment } & InWorkspace)
  | ({ readonly kind: 'error'; readonly error: SerializedError; readonly about: string } & InWorkspace)
  | ({ readonly kind: 'more'; readonly parent: NodeId; readonly left: number; readonly shown: number } & InWorkspace)
  | ({ readonly kind: 'hint'; readonly hint: (typeof HINTS)[number] } & InWorkspace);

export type NodeOf<K extends TreeNode['kind']> = Extract<TreeNode, { readonly kind: K }>;

export const PAGE = 100;

export function nodeId(...path: readonly string[]): NodeId {
  return path.map(segment).join('/');
}

/** What begins with "!" stands for no object: an error, a hint, the way to the next page. */
function segment(name: string): string {
  return encodeURIComponent(name).replaceAll('!', '%21');
}

const ERROR = '!error';
const CAUSE = '!cause';
const MORE = '!more';

export function parentOf(id: NodeId): NodeId | undefined {
  const path = id.split('/');
  if (path.length <= 1) return undefined;
  // A version, a replica and a revision are two steps below their parent, as is the error of a target's list.
  const isTwo = path[1] === 'endpoints' && (path.length > 4 ? !path.at(-1)?.startsWith('!') : path[3] === ERROR);
  return path.slice(0, isTwo ? -2 : -1).join('/');
}

export function endpointNodeId(workspaceKey: string, target: string, name: string): NodeId {
  // One name, because the endpoints of all targets are in one list.
  return nodeId(workspaceKey, 'endpoints', `${target}/${name}`);
}

/** The node of an id, as long as what it stands for exists. */
export function nodeOf(state: TreeState, id: NodeId): TreeNode | undefined {
  const [key = '', group, name, ...rest] = id.split('/').map(decodeURIComponent);
  const workspace = state.workspaces.find((candidate) => candidate.key === key);
  if (workspace === undefined) return undefined;
  const base = { id, workspace };
  const last = id.slice(id.lastIndexOf('/') + 1);
  if (last === ERROR) return errorNode(state, base);
  if (last === MORE) return moreNode(state, base);
  const hint = HINTS.find((known) => last === `!${known}`);
  if (hint !== undefined) return { kind: 'hint', hint, ...base };
  if (group === undefined) return { kind: 'workspace', ...base };
  if (name === undefined) return { kind: 'group', group: group as GroupName, ...base };
  switch (group as GroupName) {
    case 'clusters':
      return targetNode(base, name);
    case 'models':
      return modelNode(base, name, rest[0]);
    case 'environments':
      return environmentNode(base, name, rest[0]);
    case 'endpoints':
      return endpointNode(state, base, name, rest);
  }
}

const HINTS = ['model', 'endpoint', 'environment', 'cluster', 'loading'] as const;

function errorNode(state: TreeState, base: InWorkspace): TreeNode | undefined {
  const { error, about = '' } = errorAt(state, base) ?? {};
  return error && { kind: 'error', error, about, ...base };
}

/** What is wrong with the node that has the error, and where that is not said by its place, with whom. */
function errorAt(
  state: TreeState,
  { id, workspace }: InWorkspace,
): { readonly error?: SerializedError | undefined; readonly about?: string } | undefined {
  const [, group, name, what] = id.split('/').map(decodeURIComponent);
  switch (group) {
    case 'clusters':
      return workspace.targets;
    case 'models':
      return workspace.models;
    case 'environments':
      return workspace.environments;
    case 'endpoints':
      if (what === 'history') return state.histories.get(id.split('/').slice(0, 3).join('/'));
      return { error: workspace.endpoints.get(name ?? '')?.error, about: name ?? '' };
    default:
      return { error: workspace.error };
  }
}

function moreNode(state: TreeState, base: InWorkspace): TreeNode | undefined {
  const parent = parentOf(base.id) ?? '';
  const all = allChildren(state, parent).length;
  const shown = state.limits.get(parent) ?? PAGE;
  return all > shown ? { kind: 'more', parent, left: all - shown, shown, ...base } : undefined;
}

function targetNode(base: InWorkspace, name: string): TreeNode | undefined {
  const { targets } = base.workspace;
  const target = targets.value?.find(({ listing }) => listing.name === name);
  return target && { kind: 'target', target, ...base };
}

/** The model that a node stands for: of a name, the newest version. */
export function modelOfNode(node: TreeNode | undefined): Model | undefined {
  if (node?.kind === 'model') return node.model;
  if (node?.kind !== 'modelName') return undefined;
  return node.models.reduce((newest, model) => (model.version > newest.version ? model : newest));
}

function modelNode(base: InWorkspace, name: string, version: string | undefined): TreeNode | undefined {
  const { models } = base.workspace;
  const named = (models.value ?? []).filter((model) => model.name === name);
  if (version === undefined)
    return named.length === 0 ? undefined : { kind: 'modelName', name, models: named, ...base };
  const model = named.find((candidate) => `${candidate.version}` === version);
  return model && { kind: 'model', model, ...base };
}

function environmentNode(base: InWorkspace, name: string, version: string | undefined): TreeNode | undefined {
  const { environments } = base.workspace;
  const named = (environments.value ?? []).filter((environment) => environment.name === name);
  if (version === undefined) {
    return named.length === 0 ? undefined : { kind: 'environmentName', name, environments: named, ...base };
  }
  const environment = named.find((candidate) => candidate.version === version);
  return environment && { kind: 'environment', environment, ...base };
}

function endpointNode(
  state: TreeState,
  base: InWorkspace,
  located: string,
  rest: readonly string[],
): TreeNode | undefined {
  const slash = located.indexOf('/');
  const [target, name] = [located.slice(0, slash), located.slice(slash + 1)];
  const endpoint = base.workspace.endpoints.get(target)?.byName.get(name);
  if (endpoint === undefined) return undefined;
  const of = { ...base, target, endpoint, stream: state.streams.get(base.id) };
  const [what, versionName, , replicaId] = rest;
  switch (what) {
    case undefined:
      return { kind: 'endpoint', ...of };
    case CAUSE:
      return endpoint.status?.error && { kind: 'cause', cause: endpoint.status.error, ...of };
    case 'history':
      return historyNode(state, of, rest);
    case 'v':
      return versionNode(of, versionName ?? '', rest[2], replicaId);
    default:
      return undefined;
  }
}

function versionNode(
  of: OfEndpoint,
  name: string,
  what: string | undefined,
  replicaId: string | undefined,
): TreeNode | undefined {
  const version = of.endpoint.spec.versions.find((candidate) => candidate.name === name);
  if (version === undefined) return undefined;
  const status = of.endpoint.status?.versions.find((candidate) => candidate.name === name);
  const ofVersion = { ...of, version, status };
  if (what === undefined) return { kind: 'version', ...ofVersion };
  if (what === CAUSE) return status?.error && { kind: 'cause', cause: status.error, versionName: name, ...of };
  const replica = status?.replicas.find(({ id }) => id === replicaId);
  return replica && { kind: 'replica', replica, ...ofVersion };
}

function historyNode(state: TreeState, of: OfEndpoint, rest: readonly string[]): TreeNode | undefined {
  const endpointId = of.id.split('/').slice(0, 3).join('/');
  const history = state.histories.get(endpointId) ?? {};
  const [, version, number] = rest;
  if (version === undefined) return { kind: 'history', history, ...of };
  const revision = history.value?.find((one) => one.version === version && `${one.number}` === number);
  return revision && { kind: 'revision', revision, ...of };
}

/** The ids of what is shown below a node: a page, and the way to the next. */
export function childrenOf(state: TreeState, id: NodeId | undefined): readonly NodeId[] {
  const all = allChildren(state, id);
  const limit = state.limits.get(id ?? '') ?? PAGE;
  return all.length <= limit || id === undefined ? all : [...all.slice(0, limit), `${id}/${MORE}`];
}

function allChildren(state: TreeState, id: NodeId | undefined): readonly NodeId[] {
  if (id === undefined) return distinctWorkspaces(state).map(({ key }) => nodeId(key));
  const node = nodeOf(state, id);
  switch (node?.kind) {
    case 'workspace':
      return node.workspace.error === undefined ? GROUPS.map((group) => `${id}/${group}`) : [`${id}/${ERROR}`];
    case 'group':
      return groupChildren(node);
    case 'modelName':
      return node.models.map(({ version }) => `${id}/${version}`);
    case 'environmentName':
      return node.environments.map(({ version }) => `${id}/${segment(version)}`);
    case 'endpoint':
      return endpointChildren(node);
    case 'version':
      return versionChildren(node);
    case 'history':
      return historyChildren(node);
    default:
      return [];
  }
}

/** Several folders may work in one workspace. */
function distinctWorkspaces({ workspaces }: TreeState): readonly WorkspaceState[] {
  const contents = workspaces.map(({ key, view }) => view?.content ?? key);
  return workspaces.filter((_, index) => contents.indexOf(contents[index] ?? '') === index);
}

function groupChildren({ id, group, workspace }: NodeOf<'group'>): readonly NodeId[] {
  switch (group) {
    case 'clusters':
      return clusters(id, workspace.targets);
    case 'models':
      return listed(id, workspace.models, ({ name }) => name, 'model');
    case 'environments':
      return listed(id, workspace.environments, ({ name }) => name, 'environment');
    case 'endpoints':
      return endpointsOf(id, workspace);
  }
}

/** This machine is always there; what else there could be is said until there is something. */
function clusters(id: NodeId, targets: WorkspaceState['targets']): readonly NodeId[] {
  const nodes = listed(id, targets, ({ listing }) => listing.name);
  const isAlone = targets.value?.every(({ listing }) => listing.kind === 'local') === true;
  return isAlone && targets.error === undefined ? [...nodes, `${id}/!cluster`] : nodes;
}

function listed<T>(
  id: NodeId,
  { value, error }: Loadable<readonly T[]>,
  nameOf: (item: T) => string,
  hint?: string,
): readonly NodeId[] {
  const errors = error === undefined ? [] : [`${id}/${ERROR}`];
  if (value === undefined) return error === undefined ? [`${id}/!loading`] : errors;
  const names = [...new Set(value.map(nameOf))].map((name) => `${id}/${segment(name)}`);
  return [
    ...errors,
    ...names,
    ...(names.length === 0 && error === undefined && hint !== undefined ? [`${id}/!${hint}`] : []),
  ];
}

/** Of all targets, by name; a target that does not answer has its error among them. */
function endpointsOf(id: NodeId, { endpoints, targets }: WorkspaceState): readonly NodeId[] {
  const child = (target: string, name: string) => `${id}/${segment(`${target}/${name}`)}`;
  const errors = [...endpoints].flatMap(([target, { error }]) =>
    error === undefined ? [] : `${id}/${segment(target)}/${ERROR}`,
  );
  const found = [...endpoints]
    .flatMap(([target, { byName }]) => [...byName.keys()].map((name) => ({ target, name })))
    .sort((a, b) => (a.name === b.name ? compare(a.target, b.target) : compare(a.name, b.name)))
    .map(({ target, name }) => child(target, name));
  if (errors.length > 0 || found.length > 0) return [...errors, ...found];
  const waiting = targets.value === undefined || [...endpoints.values()].some(({ synced }) => !synced);
  return [`${id}/${waiting ? '!loading' : '!endpoint'}`];
}

function endpointChildren({ id, endpoint }: NodeOf<'endpoint'>): readonly NodeId[] {
  const ofVersion = endpoint.status?.versions.some(({ error }) => error !== undefined) === true;
  return [
    ...(endpoint.status?.error === undefined || ofVersion ? [] : [`${id}/${CAUSE}`]),
    ...endpoint.spec.versions.map(({ name }) => `${id}/v/${segment(name)}`),
    `${id}/history`,
  ];
}

function versionChildren({ id, status }: NodeOf<'version'>): readonly NodeId[] {
  return [
    ...(status?.error === undefined ? [] : [`${id}/${CAUSE}`]),
    ...(status?.replicas ?? []).map((replica) => `${id}/r/${segment(replica.id)}`),
  ];
}

function historyChildren({ id, history }: NodeOf<'history'>): readonly NodeId[] {
  if (history.error !== undefined) return [`${id}/${ERROR}`];
  return (history.value ?? []).map(({ version, number }) => `${id}/${segment(version)}/${number}`);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
