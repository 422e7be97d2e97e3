import * as v from 'valibot';
import type { Endpoint } from '../endpoint.ts';
import { shape } from '../engine-api/method.ts';
import type { SerializedError } from '../error.ts';
import type { ProgressEvent } from '../event.ts';
import type { MetricsSample } from '../metrics.ts';
import type { Problem } from '../problem.ts';

/** What several forms show. */
export const ENDPOINT = shape<Endpoint>('metadata', 'spec');
export const METRICS = shape<MetricsSample>('time', 'versions');
export const PROBLEM = shape<Problem>('severity', 'code', 'message');
export const PROGRESS = shape<ProgressEvent>('type');
export const FAILED = shape<SerializedError>('code', 'message');
export const NOTHING = v.null();
export const NO_PARAMS = v.object({});

/** The endpoint at every change, until it is no more. */
export const ENDPOINT_EVENTS = {
  endpoint: v.object({ endpoint: ENDPOINT }),
  gone: NO_PARAMS,
};
