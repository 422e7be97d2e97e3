import * as v from 'valibot';
import { ENDPOINT, ENDPOINT_EVENTS, NO_PARAMS, NOTHING } from './shown.ts';

const SECRET = v.picklist(['primary', 'secondary', 'token']);
export type SecretName = v.InferOutput<typeof SECRET>;

/** What a token says of itself; the token is not among it. Times are seconds since the epoch. */
export const TOKEN_FACTS = v.object({
  claims: v.record(v.string(), v.unknown()),
  refreshAfter: v.number(),
  expiryOn: v.number(),
});
export type TokenFacts = v.InferOutput<typeof TOKEN_FACTS>;

export const KEYS_FORM = {
  requests: {
    open: { params: NO_PARAMS, result: v.object({ endpoint: ENDPOINT }) },
    /** The one message that carries a secret, and only to be shown at once. */
    reveal: { params: v.object({ which: SECRET }), result: v.object({ value: v.string() }) },
    /** The extension puts it into the clipboard; the form never sees it. */
    copy: { params: v.object({ which: SECRET }), result: NOTHING },
    regenerate: { params: v.object({ which: v.picklist(['primary', 'secondary']) }), result: NOTHING },
    fetchToken: { params: NO_PARAMS, result: TOKEN_FACTS },
  },
  events: ENDPOINT_EVENTS,
};
