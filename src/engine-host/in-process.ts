import * as v from 'valibot';
import { ENGINE_API, type EventOf, type MethodName, type ParamsOf, type ResultOf } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { EngineHost } from './engine-host.ts';
import type { Call } from './handler.ts';
import { handlerOf } from './handlers.ts';

/** Asks the engine in this very process, by the methods that the extension has. */
export function askInProcess(host: EngineHost) {
  return async <M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    options: { readonly signal: AbortSignal; readonly onEvent?: (event: EventOf<M>) => void },
  ): Promise<ResultOf<M>> => {
    const handle = await handlerOf(method);
    const call: Call<M> = {
      host,
      signal: options.signal,
      repeated: false,
      resumed: false,
      emit: async (event) => options.onEvent?.(event),
    };
    return (await handle(checkedParams(method, params), call as Call<MethodName>)) as ResultOf<M>;
  };
}

/** @throws AksmlError `request.invalid` */
export function checkedParams(method: MethodName, params: unknown): unknown {
  const result = v.safeParse<v.GenericSchema>(ENGINE_API[method].params, params);
  if (result.success) return result.output;
  const [issue] = result.issues;
  throw new AksmlError('request.invalid', `The request ${method} is not valid: ${issue.message}`, {
    fault: 'input',
    subject: v.getDotPath(issue) ?? method,
  });
}
