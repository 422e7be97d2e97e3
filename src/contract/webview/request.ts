import * as v from 'valibot';
import { shape } from '../engine-api/method.ts';
import type { RunView } from '../engine-api/views.ts';
import { ENDPOINT, ENDPOINT_EVENTS, NO_PARAMS } from './shown.ts';

const REQUEST = {
  body: v.string(),
  headers: v.record(v.string(), v.string()),
  /** Absent: the traffic rule chooses. */
  versionName: v.optional(v.string()),
};

export const REQUEST_FORM = {
  requests: {
    open: { params: NO_PARAMS, result: v.object({ endpoint: ENDPOINT }) },
    /** The endpoint's OpenAPI document; the extension adds the key or token to requests by itself. */
    swagger: { params: NO_PARAMS, result: v.record(v.string(), v.unknown()) },
    send: { params: v.object(REQUEST), result: shape<RunView>('status', 'headers', 'body', 'milliseconds') },
    /** As a `.http` file with a variable in the place of the key. `saved` is false when the user thought better of it. */
    saveAsHttp: { params: v.object(REQUEST), result: v.object({ saved: v.boolean() }) },
  },
  events: ENDPOINT_EVENTS,
};
