import * as v from 'valibot';
import { ENDPOINT, ENDPOINT_EVENTS, METRICS, NO_PARAMS, NOTHING } from './shown.ts';

const SHARE = v.pipe(v.number(), v.minValue(0), v.maxValue(100));

export const ROLLOUT_FORM = {
  requests: {
    open: { params: NO_PARAMS, result: v.object({ endpoint: ENDPOINT }) },
    /** All shares in one step. */
    apply: {
      params: v.object({
        percentiles: v.record(v.string(), SHARE),
        defaultVersion: v.string(),
        controlVersion: v.nullable(v.string()),
      }),
      result: v.object({ endpoint: ENDPOINT }),
    },
    /** Deploys the version's earlier revision again; answers once it serves, or not. */
    rollBack: { params: v.object({ versionName: v.string() }), result: NOTHING },
  },
  events: { ...ENDPOINT_EVENTS, metrics: METRICS },
};
