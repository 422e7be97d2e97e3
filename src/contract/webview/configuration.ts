import * as v from 'valibot';
import { NO_PARAMS, NOTHING, PROBLEM } from './shown.ts';

export const CONFIGURATION_FILE = v.picklist(['deploymentconfig', 'inferenceconfig']);
export type ConfigurationFile = v.InferOutput<typeof CONFIGURATION_FILE>;

/** What a form sees of a configuration file. */
export const FILE_VIEW = v.object({
  file: CONFIGURATION_FILE,
  /** From the workspace folder. */
  path: v.string(),
  /** `text`: not the JSON that a form can change; YAML in its own way, which a form would disturb, or nothing that can be read. */
  state: v.picklist(['object', 'text']),
  values: v.record(v.string(), v.unknown()),
});
export type FileView = v.InferOutput<typeof FILE_VIEW>;

/** A change of one key; without a value it is taken out of the file. */
export const EDIT = v.object({ path: v.array(v.string()), value: v.optional(v.unknown()) });
export type Edit = v.InferOutput<typeof EDIT>;

/** What fields offer to choose from. */
export const OFFERS = v.object({
  targets: v.array(v.string()),
  /** `name` or `name:version` of registered environments. */
  environments: v.array(v.object({ name: v.string(), version: v.string() })),
});
export type Offers = v.InferOutput<typeof OFFERS>;

/** The folder that relative paths of the files start from, as v1's started from the working directory. */
const FOLDER = v.string();

export const BROWSE = {
  params: v.object({ kind: v.picklist(['file', 'folder']), file: CONFIGURATION_FILE, path: v.array(v.string()) }),
  /** Relative as the file wants it; absent when the user picked nothing. */
  result: v.object({ path: v.optional(v.string()) }),
};

export const CONFIGURATION_FORM = {
  requests: {
    open: { params: NO_PARAMS, result: v.object({ file: FILE_VIEW, folder: FOLDER, offers: OFFERS }) },
    edit: { params: EDIT, result: NOTHING },
    browse: BROWSE,
    openAsText: { params: NO_PARAMS, result: NOTHING },
    deploy: { params: NO_PARAMS, result: NOTHING },
  },
  events: {
    file: FILE_VIEW,
    problems: v.object({ problems: v.array(PROBLEM) }),
    offers: OFFERS,
  },
};
