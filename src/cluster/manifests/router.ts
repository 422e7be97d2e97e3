import {
  CONFIG_MAPS,
  type ConfigMap,
  DEPLOYMENTS,
  type Deployment,
  NETWORK_POLICIES,
  type NetworkPolicy,
  POD_DISRUPTION_BUDGETS,
  type PodDisruptionBudget,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Service,
} from '../../kube/resource.ts';
import type { ClusterSettings, FrontEndSettings } from '../manifests.ts';
import {
  CONTROLLER_NAME,
  FRONT_END_ACME_KEY,
  FRONT_END_NAME,
  FRONT_END_PEERS,
  FRONT_END_SCALE_KEY,
  FRONT_END_SETTINGS_KEY,
  HOSTS_ANNOTATION,
  partLabels,
  ROUTER_CONTAINER,
  ROUTER_PORTS,
  SYSTEM_NAMESPACE,
} from '../names.ts';
import {
  fromPod,
  type Manifest,
  named,
  pulledWith,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
  scraped,
  spreadOverNodes,
  templateMetadata,
} from './manifest.ts';
import { routerRights } from './rights.ts';

const LABELS = partLabels(FRONT_END_NAME);
/** Until every load balancer and every node has heard that a router is leaving, it goes on taking requests. */
const LEAVING_SECONDS = 15;
/** Then it finishes what it has: a request may wait and score for some minutes. */
const DRAIN_SECONDS = 330;
/** Of the pod's own, kept in memory: sockets, and configuration with hashes of keys. */
const RUN_FOLDER = '/run/aksml';
const RUN_SIZE = '64Mi';
/** Of the pod's own, on disk: request bodies that are too large for memory, until they are passed on. */
const SPOOL_FOLDER = '/var/spool/aksml';
const SPOOL_GIB = 8;
/** Every part of the image is below this folder. */
const PROGRAM = ['/opt/aksml/bin/node', '/opt/aksml/router.js'];
const HAPROXY = '/opt/aksml/haproxy/bin/haproxy';

/** vCPUs of a router: at first, and at most. azureml-fe's had 2. */
export const ROUTER_CPU = { least: 1, most: 2 } as const;

/** The routers, what they are reached by, and what they may do. */
export function frontEndManifests(settings: ClusterSettings, frontEnd: FrontEndSettings): readonly Manifest[] {
  return [
    { resource: SERVICE_ACCOUNTS, object: { metadata: named(FRONT_END_NAME, SYSTEM_NAMESPACE) } },
    ...routerRights(settings.namespaces),
    { resource: CONFIG_MAPS, object: routerSettings(frontEnd) },
    { resource: NETWORK_POLICIES, object: networkPolicy() },
    ...(frontEnd.routers > 1 ? [{ resource: POD_DISRUPTION_BUDGETS, object: disruptionBudget() }] : []),
    { resource: SERVICES, object: peerService() },
    { resource: SERVICES, object: service(frontEnd) },
    { resource: DEPLOYMENTS, object: deployment(settings, frontEnd) },
  ];
}

function routerSettings({ routing, acme, scaling }: FrontEndSettings): ConfigMap {
  return {
    metadata: named(FRONT_END_NAME, SYSTEM_NAMESPACE),
    data: {
      [FRONT_END_SETTINGS_KEY]: JSON.stringify(routing),
      ...(acme === undefined ? {} : { [FRONT_END_ACME_KEY]: JSON.stringify(acme) }),
      ...(scaling === undefined ? {} : { [FRONT_END_SCALE_KEY]: JSON.stringify(scaling) }),
    },
  };
}

/** Everybody may score; only routers and the controller may ask a router for more. The kubelet's probes come from the node itself. */
function networkPolicy(): NetworkPolicy {
  const tcp = (port: number) => ({ protocol: 'TCP', port });
  const pods = (name: string) => ({ podSelector: { matchLabels: partLabels(name) } });
  return {
    metadata: named(FRONT_END_NAME, SYSTEM_NAMESPACE),
    spec: {
      podSelector: { matchLabels: LABELS },
      policyTypes: ['Ingress'],
      ingress: [
        { ports: [tcp(ROUTER_PORTS.http), tcp(ROUTER_PORTS.https)] },
        {
          from: [pods(FRONT_END_NAME), pods(CONTROLLER_NAME)],
          ports: [tcp(ROUTER_PORTS.hop), tcp(ROUTER_PORTS.agent)],
        },
      ],
    },
  };
}

function disruptionBudget(): PodDisruptionBudget {
  return {
    metadata: named(FRONT_END_NAME, SYSTEM_NAMESPACE),
    spec: { maxUnavailable: 1, selector: { matchLabels: LABELS }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
  };
}

/** By which routers find each other's addresses. */
function peerService(): Service {
  return {
    metadata: named(FRONT_END_PEERS, SYSTEM_NAMESPACE),
    spec: {
      clusterIP: 'None',
      selector: LABELS,
      ports: [
        { name: 'hop', port: ROUTER_PORTS.hop, protocol: 'TCP', targetPort: 'hop' },
        { name: 'agent', port: ROUTER_PORTS.agent, protocol: 'TCP', targetPort: 'agent' },
      ],
    },
  };
}

function service({ service: { type, internal, dnsLabel, subnet }, https }: FrontEndSettings): Service {
  const annotations: Record<string, string> = {
    ...(internal ? { 'service.beta.kubernetes.io/azure-load-balancer-internal': 'true' } : {}),
    ...(subnet === undefined ? {} : { 'service.beta.kubernetes.io/azure-load-balancer-internal-subnet': subnet }),
    ...(dnsLabel === undefined ? {} : { 'service.beta.kubernetes.io/azure-dns-label-name': dnsLabel }),
    ...(https === undefined ? {} : { [HOSTS_ANNOTATION]: https.hosts.join(',') }),
  };
  return {
    metadata: { ...named(FRONT_END_NAME, SYSTEM_NAMESPACE), annotations },
    spec: {
      type,
      selector: LABELS,
      ports: [
        { name: 'http', port: 80, protocol: 'TCP', targetPort: 'http' },
        ...(https === undefined ? [] : [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 'https' }]),
      ],
      // A load balancer leaves out nodes without a router, so that the client's own address is kept, which limits and allow-lists go by.
      ...(type === 'LoadBalancer' ? { externalTrafficPolicy: 'Local' } : {}),
    },
  };
}

function deployment(settings: ClusterSettings, { image, routers }: FrontEndSettings): Deployment {
  const labels = { ...LABELS, 'app.kubernetes.io/version': settings.version };
  const probe = (path: string) => ({ httpGet: { path, port: 'agent', scheme: 'HTTP' } });
  return {
    metadata: { ...named(FRONT_END_NAME, SYSTEM_NAMESPACE), labels },
    spec: {
      replicas: routers,
      selector: { matchLabels: LABELS },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: templateMetadata(labels, scraped(ROUTER_PORTS.agent)),
        spec: {
          serviceAccountName: FRONT_END_NAME,
          securityContext: RESTRICTED_POD,
          ...pulledWith(settings.imagePullSecret),
          topologySpreadConstraints: spreadOverNodes(LABELS),
          terminationGracePeriodSeconds: LEAVING_SECONDS + DRAIN_SECONDS,
          containers: [
            {
              name: ROUTER_CONTAINER,
              image: image ?? settings.image,
              command: PROGRAM,
              env: [
                { name: 'AKSML_NAMESPACES', value: settings.namespaces.join(',') },
                { name: 'AKSML_HAPROXY', value: HAPROXY },
                { name: 'AKSML_RUN_FOLDER', value: RUN_FOLDER },
                // The mounted folder itself cannot be made anew.
                { name: 'AKSML_SPOOL_FOLDER', value: `${SPOOL_FOLDER}/bodies` },
                { name: 'AKSML_SPOOL_BYTES', value: String(SPOOL_GIB * 2 ** 30) },
                { name: 'AKSML_LEAVING_SECONDS', value: String(LEAVING_SECONDS) },
                // HAProxy's threads are as many as it may ever have CPUs.
                { name: 'AKSML_THREADS', value: String(ROUTER_CPU.most) },
                fromPod('POD_NAME', 'metadata.name'),
                fromPod('POD_IP', 'status.podIP'),
              ],
              ports: Object.entries(ROUTER_PORTS).map(([name, containerPort]) => ({
                name,
                containerPort,
                protocol: 'TCP',
              })),
              resources: {
                requests: { cpu: '200m', memory: '256Mi' },
                limits: { cpu: String(ROUTER_CPU.least), memory: '1200Mi' },
              },
              startupProbe: { ...probe('/readyz'), periodSeconds: 1, failureThreshold: 300 },
              livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
              readinessProbe: { ...probe('/readyz'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
              lifecycle: { preStop: { sleep: { seconds: LEAVING_SECONDS } } },
              securityContext: RESTRICTED_CONTAINER,
              volumeMounts: [
                { name: 'run', mountPath: RUN_FOLDER },
                { name: 'spool', mountPath: SPOOL_FOLDER },
              ],
              terminationMessagePolicy: 'FallbackToLogsOnError',
            },
          ],
          volumes: [
            { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: RUN_SIZE } },
            // What is over the router's own limit by a moment must not have the pod evicted.
            { name: 'spool', emptyDir: { sizeLimit: `${SPOOL_GIB + 1}Gi` } },
          ],
        },
      },
    },
  };
}
