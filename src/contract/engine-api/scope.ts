import * as v from 'valibot';

const NAME = v.pipe(v.string(), v.minLength(1));
/** Absolute. */
export const PATH = v.pipe(v.string(), v.minLength(1));
export const LABELS = v.record(v.string(), v.string());

/** Which workspace a request is about: that of a project folder, or another one by name. */
const workspace = {
  /** Absolute: where the search for the workspace file begins, and where relative paths of a request start. */
  folder: PATH,
  /** Instead of the one that the folder's files name. */
  workspace: v.optional(NAME),
};

/** And on which compute target. */
const target = { ...workspace, target: NAME };
const endpoint = { ...target, name: NAME };
const version = { ...endpoint, versionName: NAME };

export const inWorkspace = <E extends v.ObjectEntries>(entries: E) => v.object({ ...workspace, ...entries });
export const onTarget = <E extends v.ObjectEntries>(entries: E) => v.object({ ...target, ...entries });
export const ofEndpoint = <E extends v.ObjectEntries>(entries: E) => v.object({ ...endpoint, ...entries });
export const ofVersion = <E extends v.ObjectEntries>(entries: E) => v.object({ ...version, ...entries });

export const WORKSPACE_SCOPE = inWorkspace({});
export const TARGET_SCOPE = onTarget({});
export const ENDPOINT_SCOPE = ofEndpoint({});
/** An endpoint and, where it has several versions, which. */
export const SOME_VERSION_SCOPE = ofEndpoint({ versionName: v.optional(NAME) });

export type WorkspaceScope = v.InferOutput<typeof WORKSPACE_SCOPE>;
export type TargetScope = v.InferOutput<typeof TARGET_SCOPE>;
export type EndpointScope = v.InferOutput<typeof ENDPOINT_SCOPE>;
