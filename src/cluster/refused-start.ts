const REFUSALS = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError']);
/** What the kubelet says of Secrets and ConfigMaps that the API server did not give it in time; it asks again by itself. */
const PASSING = /failed to sync (secret|configmap) cache/i;

/** Whether a node will not start the container before something is changed, by what a waiting container says. */
export function isRefusedStart(reason: string, message: string): boolean {
  return REFUSALS.has(reason) && !PASSING.test(message);
}
