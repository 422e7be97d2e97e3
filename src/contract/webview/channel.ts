import * as v from 'valibot';
import { AksmlError, type SerializedError } from '../error.ts';

/** What a form asks of the extension, and what the extension tells it unasked. One definition a form; both ends check what they receive. */
export interface FormContract {
  readonly requests: Readonly<Record<string, RequestContract>>;
  readonly events: Readonly<Record<string, v.GenericSchema>>;
}

export interface RequestContract {
  readonly params: v.GenericSchema;
  readonly result: v.GenericSchema;
}

export type RequestName<C extends FormContract> = keyof C['requests'] & string;
export type EventName<C extends FormContract> = keyof C['events'] & string;
export type Params<C extends FormContract, M extends RequestName<C>> = v.InferOutput<C['requests'][M]['params']>;
export type Result<C extends FormContract, M extends RequestName<C>> = v.InferOutput<C['requests'][M]['result']>;
export type EventPayload<C extends FormContract, E extends EventName<C>> = v.InferOutput<C['events'][E]>;

export type FormHandlers<C extends FormContract> = {
  readonly [M in RequestName<C>]: (params: Params<C, M>, signal: AbortSignal) => Promise<Result<C, M>> | Result<C, M>;
};

export type Post = (message: unknown) => void;

const FAILURE = v.custom<SerializedError>(
  (value) => typeof value === 'object' && value !== null && 'code' in value && 'message' in value,
);

const MESSAGE = v.variant('kind', [
  v.object({ kind: v.literal('request'), id: v.string(), name: v.string(), params: v.unknown() }),
  v.object({ kind: v.literal('cancel'), id: v.string() }),
  v.object({ kind: v.literal('result'), id: v.string(), result: v.unknown() }),
  v.object({ kind: v.literal('failure'), id: v.string(), error: FAILURE }),
  v.object({ kind: v.literal('event'), name: v.string(), payload: v.unknown() }),
]);

type Message = v.InferOutput<typeof MESSAGE>;

/** The form's end: asks, and hears events. */
export class FormCaller<C extends FormContract> {
  readonly #contract: C;
  readonly #post: Post;
  /** A page that is shown again shares its channel with the page before: ids are unique over both. */
  readonly #session = crypto.randomUUID();
  readonly #pending = new Map<string, Pending>();
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();
  #count = 0;

  constructor(contract: C, post: Post) {
    this.#contract = contract;
    this.#post = post;
  }

  /** @throws AksmlError what the extension answered | `message.malformed` | `cancelled` */
  request<M extends RequestName<C>>(name: M, params: Params<C, M>, signal?: AbortSignal): Promise<Result<C, M>> {
    if (signal?.aborted) return Promise.reject(AksmlError.cancelled(name));
    this.#count += 1;
    const id = `${this.#session}:${this.#count}`;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { name, resolve: resolve as (result: unknown) => void, reject });
      signal?.addEventListener('abort', () => this.#cancel(id), { once: true });
      this.#post({ kind: 'request', id, name, params } satisfies Message);
    });
  }

  on<E extends EventName<C>>(name: E, listener: (payload: EventPayload<C, E>) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Messages that are none of ours, or answers that nobody waits for, are passed over. */
  receive(data: unknown): void {
    const message = parseMessage(data);
    if (message?.kind === 'result' || message?.kind === 'failure') this.#settle(message);
    if (message?.kind === 'event') this.#hear(message);
  }

  #settle(message: Extract<Message, { kind: 'result' | 'failure' }>): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    this.#pending.delete(message.id);
    if (message.kind === 'failure') {
      pending.reject(AksmlError.fromJSON(message.error));
      return;
    }
    const checked = v.safeParse(this.#contract.requests[pending.name]?.result ?? v.never(), message.result);
    if (checked.success) pending.resolve(checked.output);
    else pending.reject(malformed(pending.name, checked.issues));
  }

  #hear(message: Extract<Message, { kind: 'event' }>): void {
    const payload = v.parse(this.#contract.events[message.name] ?? v.never(), message.payload);
    for (const listener of this.#listeners.get(message.name) ?? []) listener(payload as never);
  }

  #cancel(id: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    this.#post({ kind: 'cancel', id } satisfies Message);
    pending.reject(AksmlError.cancelled(pending.name));
  }
}

interface Pending {
  readonly name: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: AksmlError) => void;
}

/** The extension's end: answers, and tells events. */
export class FormServer<C extends FormContract> {
  readonly #contract: C;
  readonly #post: Post;
  readonly #handlers: FormHandlers<C>;
  readonly #running = new Map<string, AbortController>();

  constructor(contract: C, post: Post, handlers: FormHandlers<C>) {
    this.#contract = contract;
    this.#post = post;
    this.#handlers = handlers;
  }

  notify<E extends EventName<C>>(name: E, payload: EventPayload<C, E>): void {
    this.#post({ kind: 'event', name, payload } satisfies Message);
  }

  /** Answers once the request is done; never rejects. */
  async receive(data: unknown): Promise<void> {
    const message = parseMessage(data);
    if (message?.kind === 'cancel') return this.#running.get(message.id)?.abort();
    if (message?.kind !== 'request') return;
    const { id, name } = message;
    const stop = new AbortController();
    this.#running.set(id, stop);
    try {
      const result = await this.#answer(name, message.params, stop.signal);
      if (!stop.signal.aborted) this.#post({ kind: 'result', id, result } satisfies Message);
    } catch (error) {
      if (!stop.signal.aborted) this.#post({ kind: 'failure', id, error: serialize(error) } satisfies Message);
    } finally {
      this.#running.delete(id);
    }
  }

  /** Ends what is under way: nobody is left to hear of it. */
  dispose(): void {
    for (const stop of this.#running.values()) stop.abort();
  }

  async #answer(name: string, params: unknown, signal: AbortSignal): Promise<unknown> {
    const known = Object.hasOwn(this.#contract.requests, name) ? this.#contract.requests[name] : undefined;
    const handler = this.#handlers[name as RequestName<C>];
    if (!known || !handler) throw malformed(name);
    const checked = v.safeParse(known.params, params);
    if (!checked.success) throw malformed(name, checked.issues);
    return handler(checked.output as Params<C, RequestName<C>>, signal);
  }
}

function parseMessage(data: unknown): Message | undefined {
  const parsed = v.safeParse(MESSAGE, data);
  return parsed.success ? parsed.output : undefined;
}

/** Names where the message differs, never what it holds: it may be a secret. */
function malformed(name: string, issues: readonly v.BaseIssue<unknown>[] = []): AksmlError {
  const places = issues.map((issue) => v.getDotPath(issue) ?? '').filter(Boolean);
  const where = places.length > 0 ? ` at ${places.join(', ')}` : '';
  return new AksmlError('message.malformed', `The message "${name}" is not what was agreed${where}.`, {
    subject: name,
    remedy: 'Close the form and open it again; if it stays so, report it.',
  });
}

function serialize(error: unknown): SerializedError {
  if (AksmlError.is(error)) return error.toJSON();
  return { code: 'internal', message: error instanceof Error ? error.message : String(error), fault: 'failed' };
}
