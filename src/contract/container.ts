/** What aksml's own scoring server promises to whoever runs its container. A custom container names its own port and routes. */
export const APP_ROOT = '/var/azureml-app';
/** v1's containers listened on it. */
export const SERVER_PORT = 5001;
/** Nobody in particular; the restricted Pod Security standard wants a number that is not 0. User and group. */
export const CONTAINER_USER = 1000;
/** Where a deployment image answers the probes of a cluster, beside whatever its workers are at: `AKSML_HEALTH_PORT` opens it. */
export const HEALTH_PORT = 5002;
