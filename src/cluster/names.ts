/**
 * What the objects of an endpoint are called in a cluster, so that the controller, which makes most of them, and the command line, which
 * reads and writes some, mean the same ones. Names of endpoints and versions have no dots, so that joined names never meet.
 */

/** On every object that belongs to an endpoint, its pods included. */
export const ENDPOINT_LABEL = 'aksml.dev/endpoint';
/** On every object that belongs to one version. */
export const VERSION_LABEL = 'aksml.dev/version';
export const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'aksml' } as const;

/** The container of a replica that scores. */
export const SCORING_CONTAINER = 'scoring';

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
