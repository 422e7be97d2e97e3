import { type CancellationToken, type MessageConnection, ProgressType, ResponseError } from 'vscode-jsonrpc';
import { ENGINE_API, type Envelope, FAILURE, type MethodName } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { EngineHost } from './engine-host.ts';
import type { Call } from './handler.ts';
import { handlerOf } from './handlers.ts';
import { checkedParams } from './in-process.ts';

const EVENTS = new ProgressType<unknown>();

/** Answers every method of {@link ENGINE_API} on a connection; one that fails or hangs holds no other up. */
export function serve(connection: MessageConnection, host: EngineHost): void {
  for (const method of Object.keys(ENGINE_API) as MethodName[]) {
    connection.onRequest(method, (envelope: Envelope, token: CancellationToken) =>
      answer(connection, host, method, envelope, token),
    );
  }
}

async function answer(
  connection: MessageConnection,
  host: EngineHost,
  method: MethodName,
  envelope: Envelope,
  token: CancellationToken,
): Promise<unknown> {
  const abort = new AbortController();
  const cancelled = token.onCancellationRequested(() => abort.abort(AksmlError.cancelled(`The request ${method}`)));
  if (token.isCancellationRequested) abort.abort(AksmlError.cancelled(`The request ${method}`));
  const { progress } = envelope;
  const call: Call<MethodName> = {
    host,
    signal: abort.signal,
    repeated: envelope.repeated === true,
    resumed: envelope.resumed === true,
    emit: async (event) => {
      if (progress !== undefined) await connection.sendProgress(EVENTS, progress, event);
    },
  };
  try {
    const params = checkedParams(method, envelope.params);
    const handle = await handlerOf(method);
    return await handle(params, call);
  } catch (error) {
    return failure(method, error, abort.signal);
  } finally {
    cancelled.dispose();
  }
}

function failure(method: MethodName, thrown: unknown, signal: AbortSignal): ResponseError<unknown> {
  const error = asAksmlError(method, thrown, signal);
  return new ResponseError(FAILURE, error.message, error.toJSON());
}

function asAksmlError(method: MethodName, thrown: unknown, signal: AbortSignal): AksmlError {
  if (AksmlError.is(thrown)) return thrown;
  if (signal.aborted || AksmlError.isCancelled(thrown)) return AksmlError.cancelled(`The request ${method}`);
  // A defect: its place is told to whoever reads the engine's log.
  process.stderr.write(`${method}: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AksmlError('internal', `The request ${method} failed: ${message}`, {
    cause: thrown,
    remedy: 'See the output channel "AKS ML" for the details.',
  });
}
