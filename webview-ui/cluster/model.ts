import * as v from 'valibot';
import { isRouterCount } from '../../src/contract/compute-record.ts';
import type { TargetView } from '../../src/contract/engine-api.ts';
import { COMPUTE_NAME, followsRule, NAMESPACE } from '../../src/contract/names.ts';
import type { ClusterWish } from '../../src/contract/webview/cluster.ts';
import type { RunView } from '../../src/contract/webview/run.ts';
import type { Failure } from '../components/failure.ts';

/** By whom and where the front end is reached. */
export const REACHES = ['public', 'internal', 'nodePort', 'clusterIp'] as const;
export type Reach = (typeof REACHES)[number];

/** As it was typed. A kubeconfig is named, never read here. */
export const CLUSTER_DRAFT = v.object({
  name: v.string(),
  purpose: v.picklist(['FastProd', 'DevTest']),
  kubeconfig: v.string(),
  context: v.string(),
  namespace: v.string(),
  registry: v.string(),
  image: v.string(),
  reach: v.picklist(REACHES),
  subnet: v.string(),
  routers: v.string(),
});
export type ClusterDraft = v.InferOutput<typeof CLUSTER_DRAFT>;

export interface Contexts {
  readonly current?: string | undefined;
  readonly names: readonly string[];
}

export interface ClusterState {
  readonly isOpen: boolean;
  readonly workspace: string;
  readonly taken: readonly string[];
  /** Of the kubeconfig that is named, as far as it can be read. */
  readonly contexts: Contexts;
  readonly draft: ClusterDraft;
  readonly run?: RunView;
  readonly attached?: TargetView;
  readonly failure?: Failure;
}

export type ClusterAction =
  | { readonly type: 'opened'; readonly workspace: string; readonly taken: readonly string[] }
  | { readonly type: 'contexts'; readonly contexts: Contexts }
  | { readonly type: 'draft'; readonly changes: Partial<ClusterDraft> }
  | { readonly type: 'run'; readonly run: RunView }
  | { readonly type: 'attached'; readonly target: TargetView }
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'dismiss' };

const EMPTY: ClusterDraft = {
  name: '',
  purpose: 'FastProd',
  kubeconfig: '',
  context: '',
  namespace: '',
  registry: '',
  image: '',
  reach: 'public',
  subnet: '',
  routers: '',
};

export function startCluster(draft: ClusterDraft | undefined): ClusterState {
  return { isOpen: false, workspace: '', taken: [], contexts: { names: [] }, draft: draft ?? EMPTY };
}

export function reduceCluster(state: ClusterState, action: ClusterAction): ClusterState {
  switch (action.type) {
    case 'opened':
      return { ...state, isOpen: true, workspace: action.workspace, taken: action.taken };
    case 'contexts':
      return { ...state, contexts: action.contexts };
    case 'draft':
      return { ...state, draft: { ...state.draft, ...action.changes } };
    case 'run': {
      const { failure: _, ...rest } = state;
      return { ...rest, run: action.run };
    }
    case 'attached':
      return { ...state, attached: action.target, draft: EMPTY };
    case 'failed':
      return { ...state, failure: action.failure };
    case 'dismiss': {
      const { failure: _, ...rest } = state;
      return rest;
    }
  }
}

export type ClusterProblem = {
  readonly field: 'name' | 'namespace' | 'routers';
  readonly kind: 'rule' | 'taken' | 'number';
  readonly hint: string;
};

/** What is wrong with the draft; names that differ in letter case only are one. */
export function draftProblem({ draft, taken }: Pick<ClusterState, 'draft' | 'taken'>): ClusterProblem | undefined {
  if (!followsRule(COMPUTE_NAME, draft.name)) return { field: 'name', kind: 'rule', hint: COMPUTE_NAME.hint };
  if (taken.some((name) => name.toLowerCase() === draft.name.toLowerCase())) {
    return { field: 'name', kind: 'taken', hint: draft.name };
  }
  if (draft.namespace !== '' && !followsRule(NAMESPACE, draft.namespace)) {
    return { field: 'namespace', kind: 'rule', hint: NAMESPACE.hint };
  }
  if (draft.routers.trim() !== '' && !isRouterCount(draft.routers)) {
    return { field: 'routers', kind: 'number', hint: draft.routers };
  }
  return undefined;
}

export function wishOf(draft: ClusterDraft): ClusterWish {
  const { name, purpose, kubeconfig, context, namespace, registry, image, routers } = draft;
  return {
    name,
    purpose,
    ...(kubeconfig.trim() === '' ? {} : { kubeconfig: kubeconfig.trim() }),
    ...(context.trim() === '' ? {} : { context: context.trim() }),
    ...(namespace === '' ? {} : { namespace }),
    ...(registry.trim() === '' ? {} : { registry: registry.trim() }),
    ...(image.trim() === '' ? {} : { controllerImage: image.trim() }),
    ...reachOf(draft),
    ...(routers.trim() === '' ? {} : { routers: Number(routers) }),
  };
}

/** A load balancer with a public address goes without saying. */
function reachOf({ reach, subnet }: ClusterDraft): Pick<ClusterWish, 'serviceType' | 'loadBalancerType'> {
  switch (reach) {
    case 'public':
      return {};
    case 'internal':
      return {
        loadBalancerType: 'InternalLoadBalancer',
        ...(subnet.trim() === '' ? {} : { loadBalancerSubnet: subnet.trim() }),
      };
    case 'nodePort':
      return { serviceType: 'NodePort' };
    case 'clusterIp':
      return { serviceType: 'ClusterIP' };
    default:
      return reach satisfies never;
  }
}
