import type { Dispatcher } from 'undici';
import sendRequest from 'undici/lib/api/api-request.js';

export { default as Agent } from 'undici/lib/dispatcher/agent.js';

/**
 * `dispatcher.request`, for dispatchers of this folder too. Loading all of undici, or Node's own `fetch`, costs a command several times what
 * its requests do.
 */
export function request(
  dispatcher: Dispatcher,
  options: Dispatcher.RequestOptions,
): Promise<Dispatcher.ResponseData<null>> {
  return sendRequest.call(dispatcher, options);
}
