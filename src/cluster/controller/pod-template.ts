import { createHash } from 'node:crypto';
import { CONTAINER_USER, HEALTH_PORT, SERVER_PORT } from '../../contract/container.ts';
import type { Endpoint, ResourceRequirements, VersionSpec } from '../../contract/endpoint.ts';
import type { Deployment } from '../../kube/resource.ts';
import { SCORING_CONTAINER, serviceAccountName, variablesSecretName } from '../names.ts';
import { podLabels } from './labels.ts';

export type PodTemplate = NonNullable<Deployment['spec']>['template'];
type PodSpec = NonNullable<PodTemplate['spec']>;
type Container = PodSpec['containers'][number];
type Probe = NonNullable<Container['livenessProbe']>;

/** On pods: what they are to do, whichever aksml made them. Pods of one version that differ in it are of different rollouts. */
export const TEMPLATE_ANNOTATION = 'aksml.dev/template';
/** On pods: the digest of the image that they run. */
export const IMAGE_ANNOTATION = 'aksml.dev/image';

/** Raised when a newer aksml makes pods so differently that those that run must be replaced. */
const FORMAT = 1;
const DEFAULT_GPU = 'nvidia.com/gpu';
const DEFAULT_USER = Number(CONTAINER_USER);

/**
 * Between the order to end and the end of the server: long enough that whoever sends requests has taken the replica off its list. A request
 * that is under way then has all its time.
 */
export const DRAIN_SECONDS = 10;
/** For the server's own goodbye. */
const GOODBYE_SECONDS = 5;
/** The replica's own limit comes a little after the front end's 504, so that the worker is free again soon after it. */
const SCORING_GRACE_MS = 1000;
/** How long init() may take is decided by whoever waits for it, never by a probe. Seconds. */
const LONGEST_INIT_SECONDS = 30 * 24 * 3600;
/** For so long a replica that was ready may fail to say so before it is taken off the routers' lists. */
const UNREADY_SECONDS = 10;

/** The pods of a version. Pure: equal specifications give equal templates. */
export function podTemplate(endpoint: Endpoint, version: VersionSpec): PodTemplate {
  const { name } = endpoint.metadata;
  const labels = podLabels(name, version.name);
  return {
    metadata: {
      labels,
      annotations: { [TEMPLATE_ANNOTATION]: shortHash(meaningOf(version)), [IMAGE_ANNOTATION]: version.image },
    } as PodTemplate['metadata'],
    spec: podSpec(endpoint, version),
  };
}

/** Of a version all that its pods show. */
function meaningOf({ container, livenessProbe, ...version }: VersionSpec): unknown {
  const { image, imageRepository, imagePullSecret, resources, nodeSelector, tolerations } = version;
  const { scoringTimeoutMs, maxConcurrentRequestsPerContainer, secretVariables, variablesRevision } = version;
  const { periodSeconds, initialDelaySeconds, timeoutSeconds, failureThreshold } = livenessProbe;
  return {
    format: FORMAT,
    image: [image, imageRepository, imagePullSecret],
    place: [resources, nodeSelector, tolerations],
    server: [scoringTimeoutMs, maxConcurrentRequestsPerContainer],
    variables: [secretVariables, variablesRevision],
    probe: [periodSeconds, initialDelaySeconds, timeoutSeconds, failureThreshold],
    ...(container === undefined ? {} : { container: { ...container, scoringRoute: '' } }),
  };
}

/** Tells templates apart that are to do the same. */
export function renderingOf(template: PodTemplate): string {
  return shortHash(template);
}

function shortHash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

export function templateKey(template: PodTemplate): string {
  return template.metadata?.annotations?.[TEMPLATE_ANNOTATION] ?? '';
}

function podSpec({ metadata }: Endpoint, version: VersionSpec): PodSpec {
  const user = version.container?.user ?? DEFAULT_USER;
  return {
    serviceAccountName: serviceAccountName(metadata.name),
    automountServiceAccountToken: false,
    // Variables for each Service of the namespace would slow the start of a namespace with thousands.
    enableServiceLinks: false,
    securityContext: { runAsNonRoot: true, runAsUser: user, fsGroup: user, seccompProfile: { type: 'RuntimeDefault' } },
    terminationGracePeriodSeconds: graceSeconds(version),
    ...(version.imagePullSecret === undefined ? {} : { imagePullSecrets: [{ name: version.imagePullSecret }] }),
    ...(version.nodeSelector === undefined ? {} : { nodeSelector: version.nodeSelector }),
    ...(version.tolerations === undefined ? {} : { tolerations: version.tolerations }),
    ...spread(podLabels(metadata.name, version.name)),
    containers: [scoringContainer(metadata.name, version)],
  };
}

/**
 * Over zones and nodes, where there are some: rather unevenly than with a replica less. Two spread constraints would do neither where nodes have no
 * zone, because the scheduler leaves out nodes that do not have the labels of all of them.
 */
function spread(labels: Readonly<Record<string, string>>): Pick<PodSpec, 'affinity' | 'topologySpreadConstraints'> {
  const alike = { labelSelector: { matchLabels: labels }, matchLabelKeys: ['pod-template-hash'] };
  const elsewhere = { topologyKey: 'topology.kubernetes.io/zone', ...alike };
  return {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: elsewhere }],
      },
    },
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway', ...alike },
    ],
  };
}

/** Never less than a scoring call may take. */
export function graceSeconds({ scoringTimeoutMs }: Pick<VersionSpec, 'scoringTimeoutMs'>): number {
  return DRAIN_SECONDS + Math.ceil((scoringTimeoutMs + SCORING_GRACE_MS) / 1000) + GOODBYE_SECONDS;
}

function scoringContainer(endpoint: string, version: VersionSpec): Container {
  const { container } = version;
  return {
    name: SCORING_CONTAINER,
    image: imageReference(version),
    imagePullPolicy: 'IfNotPresent',
    ...(container?.command === undefined ? {} : { command: commandOf(container.command, container.port) }),
    ports: [
      { name: 'scoring', containerPort: container?.port ?? SERVER_PORT, protocol: 'TCP' },
      ...(container === undefined ? [{ name: 'health', containerPort: HEALTH_PORT, protocol: 'TCP' }] : []),
    ],
    env: [...serverVariables(endpoint, version), ...referredVariables(version)],
    envFrom: [{ secretRef: { name: variablesSecretName(endpoint, version.name), optional: true } }],
    resources: containerResources(version.resources),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    ...probes(version),
    lifecycle: { preStop: { sleep: { seconds: DRAIN_SECONDS } } },
    // The end of the log is the cause of most ends: Kubernetes keeps it with the container's state.
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** @throws never: the resource's own rules demand one of the two. */
export function imageReference({ image, imageRepository, container }: VersionSpec): string {
  return imageRepository === undefined ? (container?.image ?? '') : `${imageRepository}@${image}`;
}

function commandOf(command: readonly string[], port: number): readonly string[] {
  return command.map((argument) => argument.replaceAll('{port}', String(port)));
}

/** Of the scoring server. What the user set is in the image or in the Secret. */
function serverVariables(endpoint: string, version: VersionSpec): { readonly name: string; readonly value: string }[] {
  if (version.container !== undefined) return [];
  const values = {
    AKSML_HEALTH_PORT: HEALTH_PORT,
    SCORING_TIMEOUT_MS: version.scoringTimeoutMs + SCORING_GRACE_MS,
    SERVER_PORT: SERVER_PORT,
    SERVICE_NAME: endpoint,
    WORKER_COUNT: version.maxConcurrentRequestsPerContainer,
  };
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value) }));
}

function referredVariables({ secretVariables = [] }: VersionSpec): NonNullable<Container['env']> {
  return secretVariables.map(({ name, secret, key }) => ({ name, valueFrom: { secretKeyRef: { name: secret, key } } }));
}

function containerResources(resources: ResourceRequirements): NonNullable<Container['resources']> {
  const { cpu, memoryInGB, cpuLimit, memoryInGBLimit, gpu, gpuResource = DEFAULT_GPU } = resources;
  const gpus: Record<string, string> = gpu > 0 ? { [gpuResource]: String(gpu) } : {};
  const limits = {
    ...(cpuLimit === undefined ? {} : { cpu: cpuQuantity(cpuLimit) }),
    ...(memoryInGBLimit === undefined ? {} : { memory: memoryQuantity(memoryInGBLimit) }),
    ...gpus,
  };
  return {
    requests: { cpu: cpuQuantity(cpu), memory: memoryQuantity(memoryInGB), ...gpus },
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

/** In the form that the API server gives it, so that what is there compares equal to what is wanted. */
export function cpuQuantity(cpu: number): string {
  const milli = Math.max(1, Math.round(cpu * 1000));
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`;
}

/** `gigabytes` are GiB, as v1 had them. In the API server's own form. */
export function memoryQuantity(gigabytes: number): string {
  const mebibytes = Math.max(1, Math.ceil(gigabytes * 1024 - 1e-6));
  if (mebibytes % (1024 * 1024) === 0) return `${mebibytes / (1024 * 1024)}Ti`;
  return mebibytes % 1024 === 0 ? `${mebibytes / 1024}Gi` : `${mebibytes}Mi`;
}

/**
 * A replica is ready when init() has returned, however long that takes; `livenessProbeRequirements` judge what has been ready. Both ask the
 * launcher, which answers beside the workers, lives from the first moment and lets the first questions wait for init(): it is asked when its
 * container runs, not with the first period of a startup probe. A server of the user's own is asked on the routes that its configuration
 * names, and whether it lives only once it has been ready.
 */
function probes(version: VersionSpec): Pick<Container, 'startupProbe' | 'readinessProbe' | 'livenessProbe'> {
  const { container, livenessProbe: wanted } = version;
  const ask = (own: string, custom: string | undefined): Probe => ({
    httpGet: {
      path: custom ?? own,
      port: container === undefined ? 'health' : 'scoring',
      scheme: 'HTTP',
    },
  });
  const timeouts = { timeoutSeconds: wanted.timeoutSeconds, successThreshold: 1 };
  const ready = { ...ask('/ready', container?.readinessRoute), ...timeouts, periodSeconds: 1 };
  return {
    ...(container === undefined ? {} : { startupProbe: { ...ready, failureThreshold: LONGEST_INIT_SECONDS } }),
    readinessProbe: { ...ready, failureThreshold: UNREADY_SECONDS },
    livenessProbe: {
      ...ask('/live', container?.livenessRoute),
      ...timeouts,
      initialDelaySeconds: wanted.initialDelaySeconds,
      periodSeconds: wanted.periodSeconds,
      failureThreshold: wanted.failureThreshold,
    },
  };
}
