import type { ChildProcess } from 'node:child_process';
import * as v from 'valibot';
import {
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  ProgressType,
  ResponseError,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import {
  ENGINE_API,
  type Envelope,
  type EventOf,
  FAILURE,
  type MethodName,
  type ParamsOf,
  QUESTION,
  type Question,
  READY,
  type Ready,
  type ResultOf,
} from '../contract/engine-api.ts';
import { AksmlError, type SerializedError } from '../contract/error.ts';
import type { RequestOptions } from './engine-client.ts';
import type { Translate } from './translate.ts';

export interface ConnectionOptions {
  readonly t: Translate;
  /** What only a person can decide. */
  readonly ask: (question: Question) => Promise<boolean>;
  readonly log: (line: string) => void;
  readonly onEnd: (ended: EngineConnection) => void;
}

const START_MS = 30_000;
const END_MS = 5_000;
const EVENTS = new ProgressType<unknown>();

/** One process of the engine, once it has said that it is there. @throws AksmlError `engine.notStarted` */
export async function openConnection(child: ChildProcess, options: ConnectionOptions): Promise<EngineConnection> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('the standard streams of the process are not pipes');
  logLines(child, options.log);
  // A broken pipe is told by the end of the process.
  stdin.on('error', () => undefined);
  const rpc = createMessageConnection(new StreamMessageReader(stdout), new StreamMessageWriter(stdin));
  rpc.onError(() => undefined);
  rpc.onRequest<boolean, void>(QUESTION, (question: Question) => options.ask(question));
  const ready = await greeting(child, rpc, options.t);
  const connection = new EngineConnection(child, rpc, ready, options.t);
  child.once('exit', (code, signal) => {
    options.log(`The engine's process ${child.pid} ended: ${signal ?? `exit code ${code}`}.`);
    connection.lose();
    options.onEnd(connection);
  });
  return connection;
}

async function greeting(child: ChildProcess, rpc: MessageConnection, t: Translate): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<Ready>();
  const fail = (reason: string) =>
    reject(
      new AksmlError('engine.notStarted', t("The engine's process did not start: {0}.", reason), {
        remedy: t('See the output channel "AKS ML" for what it said.'),
      }),
    );
  const timer = setTimeout(() => fail(t('it said nothing for {0} s', START_MS / 1000)), START_MS);
  child.once('error', (error) => fail(error.message));
  child.once('exit', (code, signal) =>
    fail(signal === null ? t('it ended with exit code {0}', `${code}`) : t('it was ended by {0}', signal)),
  );
  rpc.onNotification(READY, (ready: Ready) => resolve(ready));
  rpc.listen();
  try {
    return await promise;
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function logLines({ stderr }: ChildProcess, log: (line: string) => void): void {
  let rest = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) log(line);
  });
}

export class EngineConnection {
  readonly ready: Ready;
  readonly #child: ChildProcess;
  readonly #rpc: MessageConnection;
  readonly #t: Translate;
  readonly #lost = new AbortController();
  #tokens = 0;

  constructor(child: ChildProcess, rpc: MessageConnection, ready: Ready, t: Translate) {
    this.#t = t;
    this.ready = ready;
    this.#child = child;
    this.#rpc = rpc;
  }

  /** @throws AksmlError what the engine answered | `engine.lost` | `engine.badAnswer` */
  async request<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    { signal, onEvent, repeated, resumed }: RequestOptions<M> & Pick<Required<Envelope>, 'repeated' | 'resumed'>,
  ): Promise<ResultOf<M>> {
    signal?.throwIfAborted();
    if (this.#lost.signal.aborted) throw this.#lostAt(method);
    const cancellation = new CancellationTokenSource();
    const cancel = () => cancellation.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    const progress = `${++this.#tokens}`;
    const events =
      onEvent === undefined
        ? undefined
        : this.#rpc.onProgress(EVENTS, progress, (event) => {
            onEvent(this.#check<EventOf<M>>(method, 'event', event));
          });
    const envelope: Envelope = {
      params,
      ...(events === undefined ? {} : { progress }),
      ...(repeated ? { repeated } : {}),
      ...(resumed ? { resumed } : {}),
    };
    try {
      const result = await this.#untilLost(method, this.#rpc.sendRequest(method, envelope, cancellation.token));
      return this.#check<ResultOf<M>>(method, 'result', result);
    } catch (error) {
      throw this.#asAksmlError(method, error);
    } finally {
      signal?.removeEventListener('abort', cancel);
      events?.dispose();
      cancellation.dispose();
    }
  }

  /** A request whose process ended is never answered. */
  #untilLost(method: MethodName, answer: Promise<unknown>): Promise<unknown> {
    const { promise, reject } = Promise.withResolvers<never>();
    const refuse = () => reject(this.#lostAt(method));
    this.#lost.signal.addEventListener('abort', refuse, { once: true });
    return Promise.race([answer, promise]).finally(() => this.#lost.signal.removeEventListener('abort', refuse));
  }

  lose(): void {
    this.#lost.abort();
    this.#rpc.dispose();
  }

  /** The process ends when its input does; one that hangs is ended. */
  close(): void {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_MS);
    timer.unref();
    this.#child.once('exit', () => clearTimeout(timer));
  }

  #check<T>(method: MethodName, what: 'result' | 'event', value: unknown): T {
    const schema: v.GenericSchema | undefined = ENGINE_API[method][what];
    if (schema === undefined) return undefined as T;
    const result = v.safeParse(schema, value);
    if (result.success) return result.output as T;
    const [{ message }] = result.issues;
    throw new AksmlError(
      'engine.badAnswer',
      what === 'result'
        ? this.#t("The engine's answer to {0} is not what it should be: {1}", method, message)
        : this.#t('What the engine tells while it is at {0} is not what it should be: {1}', method, message),
      { remedy: this.#t('Reload the window, so that the extension and its engine are of the same version.') },
    );
  }

  #asAksmlError(method: MethodName, error: unknown): AksmlError {
    if (AksmlError.is(error)) return error;
    if (error instanceof ResponseError && error.code === FAILURE)
      return AksmlError.fromJSON(error.data as SerializedError);
    // What the library throws when the stream is destroyed under it.
    return this.#lostAt(method, error);
  }

  #lostAt(method: MethodName, cause?: unknown): AksmlError {
    return new AksmlError('engine.lost', this.#t("The engine's process ended while it was at {0}.", method), {
      remedy: this.#t('See whether it was done, then try again.'),
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
