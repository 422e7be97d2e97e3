import { AksmlError } from '../../contract/error.ts';
import type { ProgressEvent } from '../../contract/event.ts';
import { RUN_START, type RunView, reduceRun } from '../../contract/webview/run.ts';

interface TrackedRequest {
  readonly signal: AbortSignal;
  readonly onEvent: (event: ProgressEvent) => void;
  /** It begins, perhaps again after the engine's process had ended. */
  readonly onSend: () => void;
}

/** One long operation at a time, told to a form as it goes. */
export class TrackedRun {
  readonly #tell: (run: RunView) => void;
  #run: RunView | undefined;
  #stop: AbortController | undefined;

  constructor(tell: (run: RunView) => void) {
    this.#tell = tell;
  }

  get run(): RunView | undefined {
    return this.#run;
  }

  cancel(): void {
    this.#stop?.abort();
  }

  /** @throws what the work throws, after the form was told */
  async during<T>(work: (options: TrackedRequest) => Promise<T>): Promise<T> {
    const stop = new AbortController();
    this.#stop = stop;
    this.#set(RUN_START);
    try {
      const result = await work({
        signal: stop.signal,
        onEvent: (event) => this.#set(reduceRun(this.#run ?? RUN_START, event)),
        onSend: () => this.#set(RUN_START),
      });
      this.#set({ ...(this.#run ?? RUN_START), status: 'done' });
      return result;
    } catch (thrown) {
      const error = AksmlError.is(thrown) ? thrown : new AksmlError('internal', String(thrown), { cause: thrown });
      const status = AksmlError.isCancelled(error) ? 'cancelled' : 'failed';
      this.#set({ ...(this.#run ?? RUN_START), status, error: error.toJSON() });
      throw error;
    }
  }

  /** Adds to what the last run has come to. */
  add(changes: Partial<RunView>): void {
    this.#set({ ...(this.#run ?? RUN_START), ...changes });
  }

  #set(run: RunView): void {
    this.#run = run;
    this.#tell(run);
  }
}
