import type { EventOf, MethodName, ParamsOf, ResultOf } from '../contract/engine-api.ts';
import type { EngineHost } from './engine-host.ts';

/** What a handler gets beside its params. */
export interface Call<M extends MethodName> {
  readonly host: EngineHost;
  /** Aborts when the extension cancels the request or goes away. */
  readonly signal: AbortSignal;
  /** The request was sent before, to a process of the engine that ended: what it would make may be there. */
  readonly repeated: boolean;
  /** And that process may have begun to change what serves. */
  readonly resumed: boolean;
  /** Resolves once the extension's end of the pipe has room for more. */
  emit(event: EventOf<M>): Promise<void>;
}

export type Handler<M extends MethodName> = (params: ParamsOf<M>, call: Call<M>) => Promise<ResultOf<M>>;

/** Every method of one noun: `HandlersOf<'model'>` has `model.list` and so on. */
export type HandlersOf<Noun extends string> = {
  readonly [M in MethodName as M extends `${Noun}.${string}` ? M : never]: Handler<M>;
};

export type Noun = MethodName extends `${infer N}.${string}` ? N : never;
