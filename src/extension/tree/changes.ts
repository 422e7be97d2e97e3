import { childrenOf, type NodeId, nodeId, nodeOf, type TreeNode } from './nodes.ts';
import { present } from './present.ts';
import type { TreeEvent, TreeState } from './state.ts';

const AS_IT_IS = (message: string, ...args: (string | number)[]) => `${message} ${args.join(' ')}`;

/** Below a node that an event is about: the topmost nodes that look different, or have other children, than before. */
export function changedNodes(before: TreeState, after: TreeState, id: NodeId): readonly NodeId[] {
  const [was, is] = [nodeOf(before, id), nodeOf(after, id)];
  if (was === undefined || is === undefined) return was === is ? [] : [id];
  if (isUntouched(before, after, was, is)) return [];
  const [children, newChildren] = [childrenOf(before, id), childrenOf(after, id)];
  if (JSON.stringify(present(was, AS_IT_IS)) !== JSON.stringify(present(is, AS_IT_IS))) return [id];
  if (children.join() !== newChildren.join()) return [id];
  return newChildren.flatMap((child) => changedNodes(before, after, child));
}

/** Most endpoints have not changed when one has: they are the same object. */
function isUntouched(before: TreeState, after: TreeState, was: TreeNode, is: TreeNode): boolean {
  return (
    was.kind === 'endpoint' &&
    is.kind === 'endpoint' &&
    was.endpoint === is.endpoint &&
    was.workspace.targets === is.workspace.targets &&
    before.histories === after.histories &&
    before.limits === after.limits &&
    before.streams === after.streams
  );
}

/** The list of workspaces is another one. */
export function rootChanged(before: TreeState, after: TreeState): boolean {
  return childrenOf(before, undefined).join() !== childrenOf(after, undefined).join();
}

/** The nodes below which an event can have changed something. */
export function nodesAbout(event: TreeEvent): readonly NodeId[] {
  switch (event.type) {
    case 'workspaces':
      return [];
    case 'opened':
    case 'notOpened':
      return [nodeId(event.key)];
    case 'targets':
      return groups(event.key, 'clusters', 'endpoints');
    case 'models':
      return groups(event.key, 'models');
    case 'environments':
      return groups(event.key, 'environments');
    case 'failed':
      return groups(event.key, event.part === 'targets' ? 'clusters' : event.part);
    case 'listing':
      return [];
    case 'endpoints':
      // Models and environments say where they are used.
      return groups(event.key, 'endpoints', 'models', 'environments');
    case 'endpointsFailed':
      return groups(event.key, 'endpoints');
    case 'history':
      return [`${event.node}/history`];
    case 'limit':
    case 'stream':
      return [event.node];
    default:
      return event satisfies never;
  }
}

function groups(key: string, ...names: readonly string[]): NodeId[] {
  return names.map((name) => nodeId(key, name));
}

/** Without those that another one stands above: showing that one anew shows them anew. */
export function topmost(ids: ReadonlySet<NodeId>): readonly NodeId[] {
  return [...ids].filter((id) => {
    for (let cut = id.lastIndexOf('/'); cut > 0; cut = id.lastIndexOf('/', cut - 1)) {
      if (ids.has(id.slice(0, cut))) return false;
    }
    return true;
  });
}
