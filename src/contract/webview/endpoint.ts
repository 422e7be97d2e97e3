import * as v from 'valibot';
import { ENDPOINT, ENDPOINT_EVENTS, METRICS, NO_PARAMS, NOTHING } from './shown.ts';

/** What the page offers, each a command of the extension. */
export const ENDPOINT_ACTION = v.picklist([
  'test',
  'rollout',
  'keys',
  'logs',
  'deploy',
  'openSwagger',
  'copyUri',
  'copyCurl',
]);
export type EndpointAction = v.InferOutput<typeof ENDPOINT_ACTION>;

export const ENDPOINT_FORM = {
  requests: {
    open: {
      params: NO_PARAMS,
      /** With the samples of the last minutes, oldest first: the page does not live while it is hidden. */
      result: v.object({ endpoint: ENDPOINT, target: v.string(), samples: v.array(METRICS) }),
    },
    act: { params: v.object({ action: ENDPOINT_ACTION }), result: NOTHING },
  },
  events: { ...ENDPOINT_EVENTS, metrics: METRICS },
};
