import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EventOf, MethodName, ParamsOf, Question, Ready, ResultOf, StreamName } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { EngineConnection } from './engine-connection.ts';
import type { Translate } from './translate.ts';

export interface EngineClientOptions {
  readonly t: Translate;
  /** Starts a process of the engine, its standard streams piped. */
  readonly spawn: () => ChildProcess | Promise<ChildProcess>;
  /** What the process says on its standard error, and what becomes of it. */
  readonly log: (line: string) => void;
  readonly onState?: (state: EngineState) => void;
  /** What only a person can decide while a request is under way. Default: no. */
  readonly ask?: (question: Question) => Promise<boolean>;
}

export type EngineState =
  | { readonly kind: 'idle' | 'starting' }
  | { readonly kind: 'ready'; readonly ready: Ready }
  /** It ended by itself too often; {@link EngineClient.restart} tries again. */
  | { readonly kind: 'down'; readonly error: AksmlError };

export interface RequestOptions<M extends MethodName> {
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: EventOf<M>) => void;
  /** It is sent, perhaps again after the engine's process had ended. */
  readonly onSend?: () => void;
}

export interface StreamHandlers<M extends StreamName> {
  readonly onEvent: (event: EventOf<M>) => void;
  /** It is opened, perhaps again: what comes next is from its beginning. */
  readonly onOpen?: () => void;
  /** It could not be opened or broke; it is tried again, and the next event means that it works. */
  readonly onError?: (error: AksmlError) => void;
  /** It ended by itself. */
  readonly onEnd?: () => void;
}

/** Ends within this time after another end are the same trouble. */
const TROUBLE_MS = 60_000;
const MOST_ENDS = 4;
const RETRY_MS = [500, 1000, 2000, 5000, 15_000, 30_000] as const;

/**
 * The way to the engine's process: started with the first request, started again when it ends, ended with the window. What was under way is
 * done again, goes on, or is refused, as `ENGINE_API` says of each method; streams are opened again.
 */
export class EngineClient {
  readonly #options: EngineClientOptions;
  readonly #closed = new AbortController();
  #connection: Promise<EngineConnection> | undefined;
  #ends: number[] = [];

  constructor(options: EngineClientOptions) {
    this.#options = options;
  }

  /**
   * @throws AksmlError what the engine answered | `engine.lost` when nobody knows whether it was done | `engine.down` | `cancelled`
   */
  async request<M extends MethodName>(
    method: M,
    params: ParamsOf<M>,
    options: RequestOptions<M> = {},
  ): Promise<ResultOf<M>> {
    let applying = false;
    const onEvent = (event: EventOf<M>) => {
      applying ||= isApplying(event);
      options.onEvent?.(event);
    };
    for (let repeated = false; ; repeated = true) {
      const connection = await this.#connect();
      options.onSend?.();
      try {
        return await connection.request(method, params, { ...options, onEvent, repeated, resumed: applying });
      } catch (error) {
        if (!AksmlError.is(error, 'engine.lost') || this.#closed.signal.aborted) throw error;
        if (options.signal?.aborted) throw AksmlError.cancelled('The request');
        // Not before it is needed: a window that only starts makes none of its schemas.
        const { ENGINE_API } = await import('../contract/engine-api.ts');
        if (ENGINE_API[method].afterCrash === 'fail') throw error;
      }
    }
  }

  /** Keeps a stream open until it is disposed of. */
  subscribe<M extends StreamName>(
    method: M,
    params: ParamsOf<M>,
    handlers: StreamHandlers<M>,
  ): { readonly dispose: () => void } {
    const ended = new AbortController();
    void this.#follow(method, params, handlers, AbortSignal.any([ended.signal, this.#closed.signal]));
    return { dispose: () => ended.abort() };
  }

  async #follow<M extends StreamName>(
    method: M,
    params: ParamsOf<M>,
    { onEvent, onOpen, onError, onEnd }: StreamHandlers<M>,
    signal: AbortSignal,
  ): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.request(method, params, {
          signal,
          ...(onOpen === undefined ? {} : { onSend: onOpen }),
          onEvent: (event) => {
            failures = 0;
            if (!signal.aborted) onEvent(event);
          },
        });
        if (!signal.aborted) onEnd?.();
        return;
      } catch (error) {
        if (signal.aborted) return;
        onError?.(this.#asAksmlError(error));
      }
      const pause = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Ends the process, if there is one; the next request, or an open stream, starts another. */
  async restart(): Promise<void> {
    this.#ends = [];
    const connection = this.#connection;
    this.#connection = undefined;
    (await connection?.catch(() => undefined))?.close();
  }

  /** With the window. */
  dispose(): void {
    this.#closed.abort();
    void this.#connection?.then(
      (connection) => connection.close(),
      () => undefined,
    );
    this.#connection = undefined;
  }

  #connect(): Promise<EngineConnection> {
    if (this.#closed.signal.aborted) return Promise.reject(AksmlError.cancelled('The request'));
    this.#connection ??= this.#open();
    return this.#connection;
  }

  async #open(): Promise<EngineConnection> {
    const { t, spawn, log, onState, ask = async () => false } = this.#options;
    try {
      this.#refuseWhenDown();
      onState?.({ kind: 'starting' });
      const { openConnection } = await import('./engine-connection.ts');
      const connection = await openConnection(await spawn(), {
        t,
        log,
        ask,
        onEnd: (ended) => this.#ended(ended),
      });
      onState?.({ kind: 'ready', ready: connection.ready });
      return connection;
    } catch (error) {
      this.#connection = undefined;
      this.#ends.push(Date.now());
      const known = this.#asAksmlError(error);
      onState?.({ kind: 'down', error: known });
      throw known;
    }
  }

  #ended(ended: EngineConnection): void {
    void this.#connection?.then((current) => {
      if (current !== ended) return;
      this.#connection = undefined;
      this.#ends.push(Date.now());
      if (!this.#closed.signal.aborted) this.#options.onState?.({ kind: 'idle' });
    });
  }

  #refuseWhenDown(): void {
    this.#ends = this.#ends.filter((time) => Date.now() - time < TROUBLE_MS);
    if (this.#ends.length < MOST_ENDS) return;
    const { t } = this.#options;
    throw new AksmlError('engine.down', t("The engine's process ended {0} times within a minute.", this.#ends.length), {
      remedy: t('See the output channel "AKS ML", then start it again with "AKS ML: Restart the Engine".'),
    });
  }

  #asAksmlError(error: unknown): AksmlError {
    if (AksmlError.is(error)) return error;
    const message = error instanceof Error ? error.message : String(error);
    const { t } = this.#options;
    return new AksmlError('engine.unusable', t('The engine cannot be used: {0}', message), { cause: error });
  }
}

/** The last step that changes something has begun. */
function isApplying(event: unknown): boolean {
  return (
    typeof event === 'object' &&
    event !== null &&
    'type' in event &&
    'stage' in event &&
    event.type === 'start' &&
    event.stage === 'apply'
  );
}
