import { hostname } from 'node:os';
import {
  installedManifests,
  installNamespace,
  installObjects,
  installPullSecret,
  nameOf,
  refuseNewer,
  SYSTEM_PULL_SECRET,
} from '../cluster/install/install.ts';
import { type Attachment, attachedElsewhere, claimCluster, isSame, readAttachment } from '../cluster/install/marker.ts';
import { neededRights, rehearse, requireRights, rightsToDeploy } from '../cluster/install/rights.ts';
import { type RolloutProgress, waitForPart } from '../cluster/install/rollout.ts';
import type { ClusterSettings } from '../cluster/manifests.ts';
import { CONTROLLER_NAME, FRONT_END_NAME } from '../cluster/names.ts';
import { clusterStatus } from '../cluster/target/status.ts';
import type {
  ClusterConnection,
  ClusterPurpose,
  ComputeTargetRecord,
  ComputeTargetStatus,
} from '../contract/compute-record.ts';
import type { AttachPlanView } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import { followsRule, NAMESPACE } from '../contract/names.ts';
import { checkComputeName, listComputeRecords, putComputeRecord } from '../engine/compute/compute.ts';
import { keepConnection } from '../engine/compute/connection.ts';
import { sizeProblems } from '../engine/compute/size.ts';
import { type RunOptions, runStage } from '../engine/endpoints/stages.ts';
import { interruptionTeller } from '../engine/endpoints/waiting.ts';
import type { CredentialSource } from '../engine/registry/credentials.ts';
import { parseImageReference, parseRegistryAddress } from '../engine/registry/image-reference.ts';
import type { Workspace } from '../engine/workspace/workspace.ts';
import type { KubeClient } from '../kube/kube.ts';
import { NAMESPACES } from '../kube/resource.ts';
import { type ClusterAccess, chooseConnection, clusterIdOf, connectCluster, pullCredentialsOf } from './clusters.ts';
import { clusterSettings, type FrontEndRequest, frontEndRecord, frontEndView } from './front-end.ts';

export interface AttachRequest extends FrontEndRequest {
  readonly name: string;
  /** Where relative paths start. */
  readonly cwd: string;
  /** Default: `KUBECONFIG`, else `~/.kube/config`. */
  readonly kubeconfig?: string;
  /** Default: the current one. */
  readonly context?: string;
  /** Whose endpoints are served, the first by default; they exist. Default: the context's, else `default`. */
  readonly namespaces?: readonly string[];
  readonly purpose?: ClusterPurpose;
  /** `HOST[:PORT][/PREFIX]` for deployment images. Default: the workspace's. */
  readonly registry?: string;
  /** What runs in the cluster. Default: composed and pushed. */
  readonly controllerImage?: string;
  /** What the composed one starts from. */
  readonly controllerBase?: string;
}

/** What attaching works with. */
export interface AttachHost {
  readonly access: ClusterAccess;
  readonly workspace: Workspace;
  readonly credentials: CredentialSource;
  readonly user: string;
  readonly version: string;
  readonly clock: () => Date;
  /** Composes what runs in the cluster and pushes it; `HOST/PATH@sha256:…`. */
  readonly pushController: (
    registry: string,
    options: RunOptions & { readonly architectures: readonly string[]; readonly base?: string },
  ) => Promise<{ readonly reference: string; readonly reused: boolean }>;
}

export interface AttachOptions extends RunOptions {
  /** @throws whatever keeps it from being done */
  readonly confirm: (plan: AttachPlanView) => Promise<void>;
}

interface Facts {
  readonly kube: KubeClient;
  readonly connection: ClusterConnection;
  readonly record: ComputeTargetRecord;
  readonly status: ComputeTargetStatus;
  readonly action: AttachPlanView['action'];
  readonly settings: Omit<ClusterSettings, 'image'>;
}

/**
 * Makes a cluster a compute target of the workspace. Everything is checked first; what was begun is finished by the same command.
 * @throws AksmlError `computeTarget.*` | `kube.*` | `registry.*` | `image.*`
 */
export async function attachCluster(
  host: AttachHost,
  request: AttachRequest,
  options: AttachOptions,
): Promise<ComputeTargetRecord> {
  checkRequest(request);
  const connection = await chooseConnection(host.access.environment, request.cwd, request);
  const kube = await connectCluster(host.access, connection);
  try {
    const facts = await runStage('validate', `Checking the cluster ${kube.server}`, options, async () => {
      const value = await check(host, request, kube, connection, options.signal);
      return { value, reused: false, detail: value.status.kubernetesVersion ?? '' };
    });
    const plan = planOf(host, request, facts);
    for (const problem of plan.problems) options.onProgress?.({ type: 'problem', problem });
    await options.confirm(plan);
    if (facts.action === 'install') await install(host, request, facts, options);
    else await keepConnection(host.access.home, facts.record.clusterId, connection);
    return facts.record;
  } finally {
    await kube.close();
  }
}

function checkRequest({ name, namespaces = [], registry, controllerImage, frontEndImage }: AttachRequest): void {
  checkComputeName(name);
  if (registry !== undefined) parseRegistryAddress(registry);
  for (const image of [controllerImage, frontEndImage]) if (image !== undefined) parseImageReference(image);
  for (const namespace of namespaces) {
    if (followsRule(NAMESPACE, namespace)) continue;
    throw new AksmlError('namespace.invalid', `${JSON.stringify(namespace)} is not a valid namespace name.`, {
      fault: 'input',
      subject: '--namespace',
      remedy: `Use ${NAMESPACE.hint}.`,
    });
  }
}

async function check(
  host: AttachHost,
  request: AttachRequest,
  kube: KubeClient,
  connection: ClusterConnection,
  signal: AbortSignal | undefined,
): Promise<Facts> {
  const clusterId = await clusterIdOf(kube, signal);
  const known = await findKnown(host, request.name, clusterId, signal);
  const present = await readAttachment(kube, signal).catch(absentIfForbidden);
  if (present && !isSame(present, { content: contentOf(host.workspace), target: request.name })) {
    throw attachedElsewhere(kube, present);
  }
  const status = await clusterStatus(kube, signal);
  const asked = { ...request, namespaces: request.namespaces ?? namespacesOf(known) ?? [kube.namespace] };
  const record = recordOf(host, asked, known, clusterId, kube);
  const namespaces = namespacesOf(record) ?? [];
  // Whoever may not look into aksml's namespace takes it for well.
  const works = [status.controller, status.frontEnd].every((part) => part === undefined || part.state === 'Healthy');
  const action = known && present && works && isUntouched(request) ? 'connect' : 'install';
  const settings = clusterSettings(record, host.version);
  if (action === 'connect') {
    await requireRights(kube, namespaces.flatMap(rightsToDeploy), signal);
  } else {
    const manifests = installedManifests({ ...settings, image: 'unknown' });
    await requireRights(kube, neededRights(manifests, namespaces), signal);
    await requireNamespaces(kube, namespaces, signal);
    await refuseNewer(kube, host.version, signal);
    await rehearse(kube, manifests, signal);
  }
  return { kube, connection, record, status, action, settings };
}

/** The record of this very target, when the same cluster was attached under this name before. */
async function findKnown(
  { workspace }: AttachHost,
  name: string,
  clusterId: string,
  signal: AbortSignal | undefined,
): Promise<ComputeTargetRecord | undefined> {
  const records = await listComputeRecords(workspace, signal);
  const ofName = records.find((record) => record.name.toLowerCase() === name.toLowerCase());
  if (ofName && ofName.clusterId !== clusterId) {
    throw new AksmlError(
      'computeTarget.exists',
      `The compute target ${ofName.name} is another cluster (${ofName.server}).`,
      {
        fault: 'input',
        subject: `computeTarget/${name}`,
        remedy: `Choose another name, or detach it first: aksml computetarget detach -n ${ofName.name}`,
      },
    );
  }
  const ofCluster = records.find((record) => record.clusterId === clusterId);
  if (ofCluster && !ofName) {
    throw new AksmlError('computeTarget.alreadyAttached', `This cluster is attached already, as ${ofCluster.name}.`, {
      fault: 'input',
      subject: `computeTarget/${ofCluster.name}`,
      remedy: `Use that name, or detach it first: aksml computetarget detach -n ${ofCluster.name}`,
    });
  }
  return ofName;
}

/** Whoever may not look into aksml's namespace may still work with what is attached. */
function absentIfForbidden(error: unknown): undefined {
  if (!AksmlError.is(error, 'kube.forbidden')) throw error;
}

function isUntouched(request: AttachRequest): boolean {
  const { name: _, cwd: _cwd, kubeconfig: _file, context: _context, ...settings } = request;
  return Object.values(settings).every((value) => value === undefined);
}

/** What is not said anew stays as it was. */
function recordOf(
  { workspace, user, version, clock }: AttachHost,
  request: AttachRequest & { readonly namespaces: readonly string[] },
  known: ComputeTargetRecord | undefined,
  clusterId: string,
  kube: KubeClient,
): ComputeTargetRecord {
  const [namespace = 'default', ...otherNamespaces] = [...new Set(request.namespaces)];
  const registry = request.registry ?? known?.registry;
  if (registry === undefined && workspace.address === undefined) throw noRegistry(workspace);
  return {
    name: known?.name ?? request.name,
    kind: 'kubernetes',
    purpose: request.purpose ?? known?.purpose ?? 'FastProd',
    clusterId,
    server: kube.transport.server.href.replace(/\/$/, ''),
    namespace,
    ...(otherNamespaces.length === 0 ? {} : { otherNamespaces }),
    ...(registry === undefined ? {} : { registry }),
    attachedTime: known?.attachedTime ?? clock().toISOString(),
    attachedBy: known?.attachedBy ?? user,
    aksmlVersion: version,
    frontEnd: frontEndRecord(request, known?.frontEnd),
  };
}

function namespacesOf(record: ComputeTargetRecord | undefined): readonly string[] | undefined {
  return record && [record.namespace, ...(record.otherNamespaces ?? [])];
}

function noRegistry({ name }: Workspace): AksmlError {
  return new AksmlError(
    'computeTarget.noRegistry',
    `A cluster pulls images from a registry, and the workspace ${name} is a folder of this machine.`,
    {
      fault: 'input',
      subject: '--registry',
      remedy:
        'Name a registry with --registry HOST/PREFIX, or make a workspace in one: aksml workspace create -w NAME --registry HOST/PREFIX.',
    },
  );
}

async function requireNamespaces(kube: KubeClient, namespaces: readonly string[], signal?: AbortSignal): Promise<void> {
  for (const name of namespaces) {
    const found = await kube.find(NAMESPACES, { name }, signal);
    if (found && found.metadata.deletionTimestamp === undefined) continue;
    throw new AksmlError('namespace.notFound', `There is no namespace ${name} in the cluster.`, {
      fault: 'input',
      subject: '--namespace',
      remedy: `Create it first: kubectl create namespace ${name}`,
    });
  }
}

function planOf(
  { workspace }: AttachHost,
  request: AttachRequest,
  { kube, record, status, action, settings }: Facts,
): AttachPlanView {
  const manifests = action === 'install' ? installedManifests({ ...settings, image: 'unknown' }) : [];
  const registry = record.registry ?? workspace.address ?? '';
  return {
    target: record.name,
    server: kube.server,
    kubernetesVersion: status.kubernetesVersion ?? '',
    action,
    objects: manifests.map(nameOf),
    image: request.controllerImage ?? `composed by aksml and pushed to ${registry}`,
    ...(settings.frontEnd === undefined ? {} : { frontEnd: frontEndView(settings.frontEnd) }),
    registry,
    namespaces: settings.namespaces,
    problems: action === 'install' ? sizeProblems(record.purpose, status) : [],
  };
}

async function install(host: AttachHost, request: AttachRequest, facts: Facts, options: AttachOptions): Promise<void> {
  const { kube, record, settings, connection } = facts;
  const { signal } = options;
  const registry = record.registry ?? host.workspace.address ?? '';
  const known = facts.status.architectures ?? [];
  const architectures = known.length === 0 ? ['amd64'] : known;
  const image = await controllerImage(host, request, { registry, architectures }, options);
  const { host: pullHost } = parseImageReference(image);
  const credentials = await pullCredentialsOf(host.credentials)(pullHost, signal);
  const manifests = installedManifests({
    ...settings,
    image,
    ...(credentials === undefined ? {} : { imagePullSecret: SYSTEM_PULL_SECRET }),
  });
  await runStage('apply', `Installing aksml in ${kube.server}`, options, async () => {
    await installNamespace(kube, manifests, signal);
    await claimCluster(kube, attachmentOf(host, record), signal);
    // Known before it is complete, so that what was begun can be finished, seen, and taken back.
    await keepConnection(host.access.home, record.clusterId, connection);
    await putComputeRecord(host.workspace, record, signal);
    if (credentials) await installPullSecret(kube, pullHost, credentials, signal);
    let done = 0;
    const onObject = (detail: string) => {
      options.onProgress?.({
        type: 'progress',
        stage: 'apply',
        done,
        total: manifests.length,
        unit: 'objects',
        detail,
      });
      done += 1;
    };
    await installObjects(kube, manifests, onObject, signal);
    return { value: undefined, reused: false, detail: `${manifests.length} objects` };
  });
  await untilReady(kube, image, settings, options);
}

async function untilReady(
  kube: KubeClient,
  image: string,
  { frontEnd }: Facts['settings'],
  options: AttachOptions,
): Promise<void> {
  const parts = [
    { name: CONTROLLER_NAME, title: 'controller', image },
    ...(frontEnd === undefined ? [] : [{ name: FRONT_END_NAME, title: 'front end', image: frontEnd.image ?? image }]),
  ];
  for (const part of parts) {
    await runStage('watch', `Waiting for the ${part.title}`, options, async () => {
      const onProgress = ({ ready, wanted, detail }: RolloutProgress) => {
        const progress = { type: 'progress', stage: 'watch', done: ready, total: wanted, unit: 'replicas' } as const;
        options.onProgress?.({ ...progress, ...(detail === undefined ? {} : { detail }) });
      };
      await waitForPart(kube, part, onProgress, interruptionTeller(options), options.signal);
      return { value: undefined, reused: false, detail: 'ready' };
    });
  }
}

async function controllerImage(
  { pushController }: AttachHost,
  { controllerImage: given, controllerBase: base }: AttachRequest,
  { registry, architectures }: { readonly registry: string; readonly architectures: readonly string[] },
  options: AttachOptions,
): Promise<string> {
  if (given !== undefined) return given;
  return runStage('image', 'Preparing what runs in the cluster', options, async () => {
    const wishes = { ...options, architectures, ...(base === undefined ? {} : { base }) };
    const { reference, reused } = await pushController(registry, wishes);
    return { value: reference, reused, detail: reference.slice(0, reference.indexOf('@')) };
  });
}

function attachmentOf({ workspace }: AttachHost, record: ComputeTargetRecord): Attachment {
  const { name, clusterId, attachedBy, attachedTime } = record;
  return {
    workspace: workspace.name,
    content: contentOf(workspace),
    target: name,
    clusterId,
    attachedBy,
    attachedTime,
  };
}

/** Folders of different machines may have the same path. */
export function contentOf({ address, folder }: Pick<Workspace, 'address' | 'folder'>): string {
  return address ?? `${hostname()}:${folder}`;
}
