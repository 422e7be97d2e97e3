import * as v from 'valibot';

/** Who may use an endpoint, as the controller tells the routers. */
export interface PublishedAuth {
  /** Lower-case hex sha256 of each valid key. */
  readonly keyHashes?: readonly string[];
  /** Of the ServiceAccount that tokens are for. */
  readonly subjectUid?: string;
}

const AUTH = v.object({
  keyHashes: v.optional(v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)))),
  subjectUid: v.optional(v.pipe(v.string(), v.regex(/^[\w.-]{1,128}$/))),
});

/** Undefined for what does not read: it opens nothing. `value` is that of a Secret, in base64. */
export function parsePublishedAuth(value: string): PublishedAuth | undefined {
  try {
    const { keyHashes, subjectUid } = v.parse(AUTH, JSON.parse(Buffer.from(value, 'base64').toString()));
    return { ...(keyHashes === undefined ? {} : { keyHashes }), ...(subjectUid === undefined ? {} : { subjectUid }) };
  } catch {
    return undefined;
  }
}
