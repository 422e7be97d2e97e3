import { createHash } from 'node:crypto';

/**
 * What the objects of an endpoint are called in a cluster, so that the controller, which makes most of them, and the command line, which
 * reads and writes some, mean the same ones. Names of endpoints and versions have no dots, so that joined names never meet.
 */

/** Where aksml's own parts run. */
export const SYSTEM_NAMESPACE = 'aksml-system';
export const CONTROLLER_NAME = 'aksml-controller';
/** The routers together: their Deployment, Service, ServiceAccount and ConfigMap. */
export const FRONT_END_NAME = 'aksml-fe';
/** The Service by which routers find each other. */
export const FRONT_END_PEERS = 'aksml-fe-peers';
/** The key of the ConfigMap under which the routers' settings are, as JSON. */
export const FRONT_END_SETTINGS_KEY = 'settings.json';
/** The key under which the controller finds how to get a certificate, as JSON; absent where none is to be got. */
export const FRONT_END_ACME_KEY = 'acme.json';
/** The key under which the controller finds how many routers there may be, and how large; absent where that is fixed. */
export const FRONT_END_SCALE_KEY = 'scale.json';
export const ROUTER_CONTAINER = 'router';
/** Of a router's pod: for everybody; for the other routers; for probes, figures and the controller. */
export const ROUTER_PORTS = { http: 8080, https: 8443, hop: 8081, agent: 9090 } as const;

/** On the Secrets of aksml's own namespace that routers work with; its value tells which they are. */
export const ROUTER_SECRET_LABEL = 'aksml.dev/router';
export type RouterSecretKind = 'auth' | 'hop' | 'certificate' | 'challenge' | 'account';
/** On a certificate: the host names that it is for, separated by commas. */
export const HOSTS_ANNOTATION = 'aksml.dev/hosts';
/** On a certificate of an ACME server: the renewal that it was got for, where somebody asked for one. */
export const RENEWAL_ANNOTATION = 'aksml.dev/renewal';
export const HOP_SECRET = 'aksml-fe-hop';
export const HOP_SECRET_KEY = 'secret';
/** ACME challenges: the token, and the key authorization that answers it. */
export const CHALLENGE_SECRET = 'aksml-fe-acme';
/** The private key by which ACME servers know who asks; of no use to routers. */
export const ACME_ACCOUNT_SECRET = 'aksml-fe-acme-account';
/** The certificate that was given as files, and the one that an ACME server has issued. */
export const CERTIFICATE_SECRET = 'aksml-fe-certificate';
export const ACME_CERTIFICATE_SECRET = 'aksml-fe-acme-certificate';

/** On every object that belongs to an endpoint, its pods included. */
export const ENDPOINT_LABEL = 'aksml.dev/endpoint';
/** On every object that belongs to one version. */
export const VERSION_LABEL = 'aksml.dev/version';
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'aksml' } as const;

/** By which the pods of one of aksml's own parts are told from others. */
export function partLabels(name: string): Readonly<Record<string, string>> {
  return { ...MANAGED_BY, 'app.kubernetes.io/name': name };
}

/** The container of a replica that scores. */
export const SCORING_CONTAINER = 'scoring';

/** What the front end finds a version's replicas by. Names of Services may not have dots: a hash keeps joined names apart. */
export function serviceName(endpoint: string, version: string): string {
  const hash = createHash('sha256').update(`${endpoint}.${version}`).digest('hex').slice(0, 6);
  return `${`${endpoint}-${version}`.slice(0, 56)}-${hash}`;
}

/** Deployment and PodDisruptionBudget of a version. */
export function workloadName(endpoint: string, version: string): string {
  return `${endpoint}.${version}`;
}

/** ControllerRevision with the spec of one generation. The name of a new endpoint may meet those of a deleted one. */
export function specRevisionName(endpoint: string, uid: string, generation: number): string {
  return `${endpoint}.${uid.slice(0, 8)}.${generation}`;
}

/** Opaque, made once and kept across deploys: `primaryKey` and `secondaryKey`. */
export function keysSecretName(endpoint: string): string {
  return `${endpoint}.keys`;
}

/** Opaque: secret environment variables of one version by their names; absent where it has none. */
export function variablesSecretName(endpoint: string, version: string): string {
  return `${endpoint}.${version}.env`;
}

/** The subject of an endpoint's tokens. */
export function serviceAccountName(endpoint: string): string {
  return `${endpoint}.tokens`;
}

/** The audience of an endpoint's tokens. */
export function tokenAudience(namespace: string, endpoint: string): string {
  return `https://aksml.dev/${namespace}/${endpoint}`;
}

/** `kubernetes.io/dockerconfigjson`: what the images of an endpoint are pulled with; absent where none needs credentials. */
export function pullSecretName(endpoint: string): string {
  return `${endpoint}.pull`;
}

/** The Secret with what routers know of an endpoint's keys or of the subject of its tokens; sixteen of them share all endpoints. */
export function authSecretName(endpoint: string): string {
  return `${FRONT_END_NAME}-auth-${createHash('sha256').update(endpoint).digest('hex').charAt(0)}`;
}

/** The entry of an endpoint in that Secret. */
export function authSecretKey(namespace: string, endpoint: string): string {
  return `${namespace}.${endpoint}`;
}
