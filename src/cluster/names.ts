import { createHash } from 'node:crypto';

/**
 * What the objects of an endpoint are called in a cluster, so that the controller, which makes most of them, and the command line, which
 * reads and writes some, mean the same ones. Names of endpoints and versions have no dots, so that joined names never meet.
 */

/** Where aksml's own parts run. */
export const SYSTEM_NAMESPACE = 'aksml-system';
export const CONTROLLER_NAME = 'aksml-controller';
export const FRONT_END_NAME = 'aksml-fe';

/** On every object that belongs to an endpoint, its pods included. */
export const ENDPOINT_LABEL = 'aksml.dev/endpoint';
/** On every object that belongs to one version. */
export const VERSION_LABEL = 'aksml.dev/version';
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'aksml' } as const;

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
