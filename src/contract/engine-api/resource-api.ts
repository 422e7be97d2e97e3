import * as v from 'valibot';
import type { AccessToken, EndpointChange, Keys, LogLine } from '../compute-target.ts';
import type { RegisteredEnvironment } from '../environment.ts';
import type { MetricsSample } from '../metrics.ts';
import type { Model } from '../model.ts';
import type { RecognizedModel } from '../proposal.ts';
import { ENDPOINT, PROGRESS } from './deployment-api.ts';
import { list, operation, request, shape, stream } from './method.ts';
import {
  ENDPOINT_SCOPE,
  inWorkspace,
  LABELS,
  ofEndpoint,
  onTarget,
  PATH,
  TARGET_SCOPE,
  WORKSPACE_SCOPE,
} from './scope.ts';
import type {
  AttachPlanView,
  CollectedView,
  LocalView,
  RunView,
  TargetView,
  WorkspaceRecordView,
  WorkspaceView,
} from './views.ts';

const NOTHING = v.null();
const MODEL = shape<Model>('id', 'name', 'version');
const ENVIRONMENT = shape<RegisteredEnvironment>('name', 'version', 'definition');
const TARGET = shape<TargetView>('listing');

export const WORKSPACE_METHODS = {
  /** Those known on this machine. */
  'workspace.list': request(v.object({}), list(shape<WorkspaceRecordView>('name', 'folder'))),
  /** The workspace of a folder, made on first use; files are looked at anew. */
  'workspace.open': request(WORKSPACE_SCOPE, shape<WorkspaceView>('name', 'content')),
  'workspace.create': request(
    v.object({ name: v.string(), registry: v.optional(v.string()) }),
    shape<WorkspaceRecordView>('name', 'folder'),
    'fail',
  ),
  'workspace.delete': request(v.object({ name: v.string(), force: v.optional(v.boolean()) }), NOTHING, 'fail'),
  /** Ties a project folder to a workspace; answers the file written. */
  'workspace.attachFolder': request(
    v.object({
      folder: PATH,
      name: v.string(),
      resourceGroup: v.optional(v.string()),
      subscriptionId: v.optional(v.string()),
    }),
    v.object({ file: v.string() }),
  ),
};

/** How the front end is reached; at first by a load balancer with a public address, and as many routers as the purpose asks for. */
export const FRONT_END_WISH = {
  serviceType: v.optional(v.picklist(['LoadBalancer', 'NodePort', 'ClusterIP'])),
  loadBalancerType: v.optional(v.picklist(['PublicIp', 'InternalLoadBalancer'])),
  loadBalancerSubnet: v.optional(v.string()),
  routers: v.optional(v.number()),
};
export type FrontEndWish = v.InferOutput<v.ObjectSchema<typeof FRONT_END_WISH, undefined>>;

const attachment = {
  name: v.string(),
  /** Default: the user's own kubeconfig and its current context. */
  kubeconfig: v.optional(PATH),
  context: v.optional(v.string()),
  namespaces: v.optional(v.array(v.string())),
  purpose: v.optional(v.picklist(['FastProd', 'DevTest'])),
  registry: v.optional(v.string()),
  controllerImage: v.optional(v.string()),
  ...FRONT_END_WISH,
};

/** Files are named by absolute paths. */
const TLS_CHANGE = v.variant('kind', [
  v.object({ kind: v.literal('disable') }),
  v.object({ kind: v.literal('renew') }),
  v.object({ kind: v.literal('files'), certificateFile: PATH, keyFile: PATH, hosts: v.array(v.string()) }),
  v.object({ kind: v.literal('auto'), hosts: v.array(v.string()), email: v.optional(v.string()) }),
]);

/** The person has seen what it does; otherwise they are asked by {@link QUESTION}. */
const confirmed = { confirmed: v.optional(v.boolean()) };

export const TARGET_METHODS = {
  'target.list': request(WORKSPACE_SCOPE, list(TARGET)),
  /** The whole list, at once and with every change; one that does not answer holds no other up. */
  'target.watch': stream(WORKSPACE_SCOPE, list(TARGET)),
  /** Of a kubeconfig; default the user's own. */
  'target.contexts': request(
    inWorkspace({ kubeconfig: v.optional(PATH) }),
    v.object({ current: v.optional(v.string()), names: v.array(v.string()) }),
  ),
  /** What attaching would install, after every check; nothing is changed. */
  'target.planAttach': operation(
    inWorkspace(attachment),
    shape<AttachPlanView>('target', 'objects'),
    PROGRESS,
    'again',
  ),
  'target.attach': operation(inWorkspace({ ...attachment, ...confirmed }), TARGET, PROGRESS, 'again'),
  /** Changes how the front end is reached, and by how many routers. What is not said stays. */
  'target.update': operation(
    onTarget({ ...FRONT_END_WISH, tls: v.optional(TLS_CHANGE), allowInsecureConnections: v.optional(v.boolean()) }),
    TARGET,
    PROGRESS,
    'again',
  ),
  /** Writes a kubeconfig of this cluster alone, secrets included, into a file that nobody else can read. */
  'target.saveCredentials': request(onTarget({ file: PATH }), NOTHING),
  /** Removes what attaching has installed; answers what is left of the system's namespace, and why. */
  'target.detach': operation(
    onTarget({ deleteEndpoints: v.optional(v.boolean()), force: v.optional(v.boolean()), ...confirmed }),
    v.object({ left: v.array(v.string()) }),
    PROGRESS,
    'again',
  ),
};

export const MODEL_METHODS = {
  'model.list': request(inWorkspace({ name: v.optional(v.string()), latest: v.optional(v.boolean()) }), list(MODEL)),
  /** What wrote each of these files or folders; `null` for what is no model. */
  'model.recognize': request(
    v.object({ paths: v.array(PATH) }),
    v.array(v.nullable(shape<RecognizedModel>('path', 'format', 'framework'))),
  ),
  'model.get': request(inWorkspace({ id: v.string() }), MODEL),
  /** The whole list, at once and with every change. `refresh` of a remote registry: see {@link CONTENT_METHODS}. */
  'model.watch': stream(WORKSPACE_SCOPE, list(MODEL)),
  'model.register': operation(
    inWorkspace({
      name: v.string(),
      path: PATH,
      description: v.optional(v.string()),
      tags: v.optional(LABELS),
      properties: v.optional(LABELS),
      framework: v.optional(v.string()),
      frameworkVersion: v.optional(v.string()),
      resourceRequirements: v.optional(
        v.object({ cpu: v.optional(v.number()), memoryInGB: v.optional(v.number()), gpu: v.optional(v.number()) }),
      ),
      sampleInputDatasetId: v.optional(v.string()),
      sampleOutputDatasetId: v.optional(v.string()),
    }),
    MODEL,
    PROGRESS,
    'fail',
  ),
  'model.update': request(
    inWorkspace({
      id: v.string(),
      description: v.optional(v.string()),
      addTags: v.optional(LABELS),
      removeTags: v.optional(v.array(v.string())),
      addProperties: v.optional(LABELS),
    }),
    MODEL,
    'fail',
  ),
  'model.delete': request(inWorkspace({ id: v.string() }), NOTHING, 'fail'),
  'model.download': operation(
    inWorkspace({ id: v.string(), directory: PATH, overwrite: v.optional(v.boolean()) }),
    v.object({ path: v.string() }),
    PROGRESS,
    'again',
  ),
};

export const ENVIRONMENT_METHODS = {
  'environment.list': request(inWorkspace({ latest: v.optional(v.boolean()) }), list(ENVIRONMENT)),
  'environment.watch': stream(WORKSPACE_SCOPE, list(ENVIRONMENT)),
  /** A folder in v1's on-disk form. */
  'environment.register': request(
    inWorkspace({ directory: PATH }),
    v.object({ environment: ENVIRONMENT, reused: v.boolean() }),
  ),
  'environment.scaffold': request(
    v.object({ directory: PATH, name: v.string() }),
    v.object({ files: v.array(v.string()) }),
    'fail',
  ),
  'environment.download': request(
    inWorkspace({
      name: v.string(),
      version: v.optional(v.string()),
      directory: PATH,
      overwrite: v.optional(v.boolean()),
    }),
    v.object({ files: v.array(v.string()) }),
  ),
};

export const SNAPSHOT_METHODS = {
  /** Which of these paths below a source directory (`/`-separated) its ignore file leaves out. */
  'snapshot.ignored': request(v.object({ directory: PATH, paths: v.array(v.string()) }), v.array(v.boolean())),
};

const TOOL_CALL = inWorkspace({ tool: v.string(), input: v.unknown() });

/** The tools that language models have; see `src/agent/agent.ts`. */
export const AGENT_METHODS = {
  /** What the person is to agree to first; `null` for a tool that changes nothing. */
  'agent.question': request(TOOL_CALL, v.object({ text: v.nullable(v.string()) })),
  'agent.run': request(TOOL_CALL, v.object({ text: v.string() }), 'fail'),
};

export const CONTENT_METHODS = {
  /** Looks at a remote registry now, for every `model.watch` and `environment.watch` of the workspace. */
  'content.refresh': request(WORKSPACE_SCOPE, NOTHING),
};

export const ENDPOINT_METHODS = {
  'endpoint.list': request(TARGET_SCOPE, list(ENDPOINT)),
  'endpoint.get': request(ENDPOINT_SCOPE, ENDPOINT),
  /** The present state, `synced`, then every change. With a name: of that endpoint only. */
  'endpoint.watch': stream(onTarget({ name: v.optional(v.string()) }), list(shape<EndpointChange>('type'))),
  /** Returns once nothing of it is left; its revisions stay. */
  'endpoint.delete': request(ENDPOINT_SCOPE, NOTHING, 'fail'),
  /** Secret variables that undoing the deletion of an endpoint, or of one version, would not bring back. */
  'endpoint.planDelete': request(
    ofEndpoint({ versionName: v.optional(v.string()) }),
    v.object({ unrestorable: v.array(v.string()) }),
  ),
  /** Undoes a deletion: the endpoint as it was, with its keys unless they are not known any more. */
  'endpoint.restore': request(
    onTarget({ endpoint: ENDPOINT }),
    v.object({ endpoint: ENDPOINT, newKeys: v.boolean() }),
    'fail',
  ),
  /** A deletion of an endpoint, or of one version, is not to be undone any more. */
  'endpoint.forgetDeleted': request(v.object({ endpoint: ENDPOINT, versionName: v.optional(v.string()) }), NOTHING),
  'endpoint.run': request(
    ofEndpoint({
      body: v.string(),
      versionName: v.optional(v.string()),
      headers: v.optional(v.record(v.string(), v.string())),
    }),
    shape<RunView>('status', 'body'),
    'fail',
  ),
  /** The endpoint's OpenAPI document. */
  'endpoint.swagger': request(ENDPOINT_SCOPE, shape<Readonly<Record<string, unknown>>>()),
  /** Lines in the order in which they were written, in batches. Ends by itself only without `follow`. */
  'endpoint.logs': stream(
    ofEndpoint({
      versionName: v.optional(v.string()),
      replica: v.optional(v.string()),
      init: v.optional(v.boolean()),
      lines: v.optional(v.number()),
      /** ISO 8601; only later lines. */
      since: v.optional(v.string()),
      grep: v.optional(v.string()),
      follow: v.optional(v.boolean()),
    }),
    list(shape<LogLine>('time', 'line')),
  ),
  /** A sample each interval, the first after one. */
  'endpoint.metrics': stream(
    ofEndpoint({ intervalMs: v.optional(v.pipe(v.number(), v.minValue(250))) }),
    shape<MetricsSample>('time', 'versions'),
  ),
};

export const ACCESS_METHODS = {
  'key.get': request(ENDPOINT_SCOPE, shape<Keys>('primaryKey', 'secondaryKey')),
  'key.regenerate': request(
    ofEndpoint({ which: v.picklist(['primary', 'secondary']), value: v.optional(v.string()) }),
    shape<Keys>('primaryKey', 'secondaryKey'),
    'fail',
  ),
  'token.get': request(ENDPOINT_SCOPE, shape<AccessToken>('accessToken', 'expiryOn')),
  /** Makes all tokens that there are invalid. */
  'token.revoke': request(ENDPOINT_SCOPE, NOTHING),
};

export const MACHINE_METHODS = {
  'local.status': request(v.object({}), shape<LocalView>('stopped', 'endpoints')),
  'local.start': request(v.object({}), shape<LocalView>('stopped', 'endpoints')),
  'local.stop': request(v.object({}), shape<LocalView>('stopped', 'endpoints')),
  /** Of every workspace on this machine. */
  'garbage.collect': request(
    v.object({ dryRun: v.optional(v.boolean()), caches: v.optional(v.boolean()) }),
    shape<CollectedView>('bytes', 'freed'),
  ),
};
