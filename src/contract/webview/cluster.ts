import * as v from 'valibot';
import { shape } from '../engine-api/method.ts';
import { FRONT_END_WISH } from '../engine-api/resource-api.ts';
import type { TargetView } from '../engine-api.ts';
import type { RunView } from './run.ts';
import { NO_PARAMS, NOTHING } from './shown.ts';

export const CLUSTER_WISH = v.object({
  name: v.string(),
  /** Absolute; absent: the user's own. */
  kubeconfig: v.optional(v.string()),
  /** Absent: the current one. */
  context: v.optional(v.string()),
  namespace: v.optional(v.string()),
  /** `HOST/PREFIX`; absent: the workspace's own. */
  registry: v.optional(v.string()),
  /** Of what runs in the cluster; absent: composed and pushed to that registry. */
  controllerImage: v.optional(v.string()),
  purpose: v.picklist(['FastProd', 'DevTest']),
  ...FRONT_END_WISH,
});
export type ClusterWish = v.InferOutput<typeof CLUSTER_WISH>;

export const CLUSTER_FORM = {
  requests: {
    open: { params: NO_PARAMS, result: v.object({ workspace: v.string(), taken: v.array(v.string()) }) },
    contexts: {
      params: v.object({ kubeconfig: v.optional(v.string()) }),
      result: v.object({ current: v.optional(v.string()), names: v.array(v.string()) }),
    },
    browse: { params: NO_PARAMS, result: v.object({ path: v.optional(v.string()) }) },
    attach: { params: CLUSTER_WISH, result: shape<TargetView>('listing') },
    cancel: { params: NO_PARAMS, result: NOTHING },
  },
  events: { run: shape<RunView>('status', 'stages') },
};
