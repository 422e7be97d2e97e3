import * as v from 'valibot';
import type { DeploymentPlan, DeploymentSpec, EffectiveSettings, InferenceSpec } from '../deployment.ts';
import type { Endpoint } from '../endpoint.ts';
import type { ProgressEvent } from '../event.ts';
import type { Problem } from '../problem.ts';
import type { DeploymentProposal } from '../proposal.ts';
import { list, operation, request, shape } from './method.ts';
import { inWorkspace, LABELS, ofEndpoint, ofVersion, onTarget, PATH, SOME_VERSION_SCOPE } from './scope.ts';
import type { ProfileView, RevisionDifference, RevisionFile, RevisionView } from './views.ts';

export const ENDPOINT = shape<Endpoint>('metadata', 'spec');
export const PROGRESS = shape<ProgressEvent>('type');

/** The files of a project that describe a deployment, with what overrides them. */
const configuration = {
  inferenceConfigFile: v.optional(PATH),
  deploymentConfigFile: v.optional(PATH),
  /** Unsaved contents by path, as the files are named above; they are read instead of what is on the disk. */
  texts: v.optional(v.record(v.string(), v.string())),
  /** v1's long options in camel case, such as `numReplicas`: they win over the files. */
  flags: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
};

const build = {
  python: v.optional(v.string()),
  /** Resolve the dependencies anew instead of installing what was locked. */
  refreshEnvironment: v.optional(v.boolean()),
  liftSnapshotLimits: v.optional(v.boolean()),
};

/** On this machine: run the source directory itself under debugpy, which listens at this loopback port. */
const DEBUG_PORT = v.optional(v.number());

const labels = {
  description: v.optional(v.string()),
  addTags: v.optional(LABELS),
  removeTags: v.optional(v.array(v.string())),
  addProperties: v.optional(LABELS),
};

/** Ids, names (the latest version), or absolute paths, which are registered first. */
const MODELS = v.array(v.union([v.string(), v.object({ path: PATH, name: v.optional(v.string()) })]));

const deployment = {
  name: v.string(),
  models: MODELS,
  ...configuration,
  description: v.optional(v.string()),
  tags: v.optional(LABELS),
  properties: v.optional(LABELS),
  overwrite: v.optional(v.boolean()),
};

const DEPLOY = onTarget({
  ...deployment,
  ...build,
  debugPort: DEBUG_PORT,
  /** Default: until it is Healthy. */
  wait: v.optional(v.boolean()),
});

const versionWish = {
  ...configuration,
  ...build,
  ...labels,
  models: v.optional(v.array(v.string())),
  isDefault: v.optional(v.boolean()),
  isControl: v.optional(v.boolean()),
  trafficPercentile: v.optional(v.number()),
};

const versionChange = { ...versionWish, wait: v.optional(v.boolean()) };

export interface ValidationView {
  readonly valid: boolean;
  readonly problems: readonly Problem[];
  readonly spec: {
    readonly inference?: InferenceSpec;
    readonly deployment?: DeploymentSpec;
    readonly settings?: EffectiveSettings;
  };
}

export const CONFIGURATION_METHODS = {
  /** Both files, or one of them, judged as a deploy would judge them. */
  'configuration.validate': request(inWorkspace(configuration), shape<ValidationView>('valid', 'problems', 'spec')),
  /** Writes a v2 deployment as the files of v1 with the same meaning, beside it; answers their absolute paths. */
  'configuration.import': request(
    v.object({
      folder: PATH,
      deploymentFile: PATH,
      endpointFile: v.optional(PATH),
      overwrite: v.optional(v.boolean()),
    }),
    v.object({ files: v.array(v.string()), problems: list(shape<Problem>('severity', 'message')) }),
    'fail',
  ),
};

const PLAN = shape<DeploymentPlan>('action', 'problems', 'settings');

export const DEPLOYMENT_METHODS = {
  /** What a model file could be deployed with: what the folder has for it, and what would be written. Writes nothing. */
  'deployment.propose': request(
    onTarget({ model: PATH }),
    shape<DeploymentProposal>('model', 'name', 'deploymentConfig'),
  ),
  'deployment.plan': request(onTarget({ ...deployment, ...build, debugPort: DEBUG_PORT }), PLAN),
  'deployment.deploy': operation(DEPLOY, ENDPOINT, PROGRESS, 'resume'),
  'version.plan': request(ofVersion(versionWish), PLAN),
  'version.create': operation(ofVersion(versionChange), ENDPOINT, PROGRESS, 'resume'),
  'version.delete': operation(ofVersion({}), ENDPOINT, PROGRESS, 'fail'),
  /** Undoes it: the version as it was, with its share of the traffic and its secret variables. */
  'version.restore': operation(onTarget({ before: ENDPOINT, versionName: v.string() }), ENDPOINT, PROGRESS, 'fail'),
  /** Fixed at a number of replicas, or scaled between two. */
  'version.scale': operation(
    ofEndpoint({
      versionName: v.optional(v.string()),
      scale: v.union([
        v.object({ kind: v.literal('fixed'), replicas: v.number() }),
        v.object({
          kind: v.literal('auto'),
          minReplicas: v.number(),
          maxReplicas: v.number(),
          targetUtilization: v.optional(v.number()),
          refreshPeriodInSeconds: v.optional(v.number()),
        }),
      ]),
      wait: v.optional(v.boolean()),
    }),
    ENDPOINT,
    PROGRESS,
    'again',
  ),
  /** All shares of an endpoint in one step; versions that are not named keep theirs. */
  'traffic.set': request(
    ofEndpoint({
      percentiles: v.record(v.string(), v.number()),
      defaultVersion: v.optional(v.string()),
      /** `null`: none any more. */
      controlVersion: v.optional(v.nullable(v.string())),
    }),
    ENDPOINT,
  ),
  'endpoint.update': operation(
    ofEndpoint({
      ...labels,
      authEnabled: v.optional(v.boolean()),
      tokenAuthEnabled: v.optional(v.boolean()),
      appInsightsEnabled: v.optional(v.boolean()),
    }),
    ENDPOINT,
    PROGRESS,
    'again',
  ),
};

export const REVISION_METHODS = {
  /** Newest first; also of a deleted endpoint. */
  'revision.list': request(SOME_VERSION_SCOPE, list(shape<RevisionView>('number', 'digest'))),
  'revision.diff': request(
    ofVersion({ from: v.number(), to: v.number() }),
    shape<RevisionDifference>('code', 'settings'),
  ),
  /** Of the deployed code against a folder; default the revision that is current. */
  'revision.diffFolder': request(
    ofVersion({ revision: v.optional(v.number()), with: PATH }),
    shape<Pick<RevisionDifference, 'code'> & { readonly revision: number }>('code', 'revision'),
  ),
  'revision.files': request(ofVersion({ revision: v.number() }), list(shape<RevisionFile>('path', 'size'))),
  /** One file's content, base64. @throws `revision.noFile` */
  'revision.readFile': request(
    ofVersion({ revision: v.number(), path: v.string() }),
    v.object({ content: v.string() }),
  ),
  /** The deployment's settings and environment as text, to be compared. */
  'revision.configuration': request(ofVersion({ revision: v.number() }), v.object({ text: v.string() })),
  'revision.checkout': operation(
    ofVersion({ revision: v.number(), directory: PATH, overwrite: v.optional(v.boolean()) }),
    v.object({ directory: v.string() }),
    PROGRESS,
    'again',
  ),
  /** Default: to the revision before. */
  'revision.rollback': operation(
    ofEndpoint({ versionName: v.optional(v.string()), to: v.optional(v.number()), wait: v.optional(v.boolean()) }),
    ENDPOINT,
    PROGRESS,
    'fail',
  ),
};

export const PACKAGING_METHODS = {
  'model.package': operation(
    inWorkspace({
      ...configuration,
      models: v.array(v.string()),
      format: v.picklist(['context', 'layout', 'tar']),
      /** A folder for a build context and for a layout, a file for a tar. */
      outputPath: PATH,
      imageName: v.optional(v.string()),
      imageLabel: v.optional(v.string()),
      base: v.optional(v.string()),
    }),
    v.object({ path: v.string(), reference: v.optional(v.string()), digest: v.optional(v.string()) }),
    PROGRESS,
    'again',
  ),
  /** What CPU and memory models need to answer the requests of a file, measured on this machine. */
  'model.profile': operation(
    inWorkspace({ name: v.string(), models: v.array(v.string()), input: PATH, ...configuration, ...build }),
    shape<ProfileView>('state', 'recommendedCpu', 'recommendedMemoryInGB'),
    PROGRESS,
    'again',
  ),
};
