import * as v from 'valibot';
import type { DeploymentPlan } from '../deployment.ts';
import { shape } from '../engine-api/method.ts';
import { BROWSE, CONFIGURATION_FILE, EDIT, FILE_VIEW, OFFERS } from './configuration.ts';
import type { RunView } from './run.ts';
import { FAILED, NO_PARAMS, NOTHING, PROBLEM } from './shown.ts';

/** What is to be deployed, with changes of the files that are not written yet. Paths start from the folder. */
export const DEPLOY_WISH = v.object({
  target: v.string(),
  name: v.string(),
  /** A further version of an endpoint, instead of an endpoint. */
  versionName: v.optional(v.string()),
  /** Ids or names of registered models, or absolute paths. */
  models: v.array(v.string()),
  deploymentConfigFile: v.optional(v.string()),
  inferenceConfigFile: v.optional(v.string()),
  overwrite: v.boolean(),
  /** Resolve the packages of the environment anew instead of installing what was locked. */
  refreshEnvironment: v.optional(v.boolean()),
  edits: v.array(v.object({ file: CONFIGURATION_FILE, ...EDIT.entries })),
});
export type DeployWish = v.InferOutput<typeof DEPLOY_WISH>;

const LINE = v.object({ kind: v.picklist(['added', 'removed', 'same', 'gap']), text: v.string() });

/** A file that would be written. */
export const FILE_CHANGE = v.object({ path: v.string(), isNew: v.boolean(), lines: v.array(LINE) });
export type FileChange = v.InferOutput<typeof FILE_CHANGE>;

/** Room on the compute target, in replicas of the planned size. */
export const FIT = v.object({
  cpu: v.number(),
  memoryInGB: v.number(),
  gpu: v.number(),
  /** What others have not asked for; of `local`, what the machine has. */
  isFree: v.boolean(),
  replicas: v.number(),
});
export type Fit = v.InferOutput<typeof FIT>;

export const EVALUATION = v.object({
  files: v.array(FILE_VIEW),
  problems: v.array(PROBLEM),
  /** Absent where there is none yet, for the reason in `failure`, or because of problems. */
  plan: v.optional(shape<DeploymentPlan>('action', 'problems', 'settings')),
  failure: v.optional(FAILED),
  changes: v.array(FILE_CHANGE),
  fit: v.optional(FIT),
});
export type Evaluation = v.InferOutput<typeof EVALUATION>;

export const DEPLOY_CHOICES = v.object({
  targets: v.array(v.string()),
  models: v.array(v.object({ id: v.string(), framework: v.string() })),
  deploymentFiles: v.array(v.string()),
  inferenceFiles: v.array(v.string()),
});
export type DeployChoices = v.InferOutput<typeof DEPLOY_CHOICES>;

const RUN = shape<RunView>('status', 'stages');
const WISH = v.object({ wish: DEPLOY_WISH });

export const DEPLOY_FORM = {
  requests: {
    open: {
      params: NO_PARAMS,
      result: v.object({
        folder: v.string(),
        wish: DEPLOY_WISH,
        choices: DEPLOY_CHOICES,
        offers: OFFERS,
        run: v.optional(RUN),
      }),
    },
    /** What the wish comes to: nothing is written or deployed. */
    evaluate: { params: WISH, result: EVALUATION },
    browse: { ...BROWSE, params: v.object({ ...BROWSE.params.entries, ...WISH.entries }) },
    browseModel: { params: NO_PARAMS, result: v.object({ path: v.optional(v.string()) }) },
    openDiff: { params: v.object({ ...WISH.entries, path: v.string() }), result: NOTHING },
    openAsText: { params: v.object({ path: v.string() }), result: NOTHING },
    /** Writes and saves every change. */
    write: { params: WISH, result: NOTHING },
    /** Begins; the rest is told by `run`. */
    deploy: { params: WISH, result: NOTHING },
    cancel: { params: NO_PARAMS, result: NOTHING },
    follow: { params: v.object({ action: v.picklist(['open', 'test', 'logs', 'copyUri']) }), result: NOTHING },
  },
  events: {
    run: RUN,
    choices: DEPLOY_CHOICES,
    /** Files, models or endpoints are not what they were: evaluate again. */
    changed: NO_PARAMS,
  },
};
