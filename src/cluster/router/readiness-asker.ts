import { request } from 'node:http';
import { HEALTH_PORT } from '../../contract/container.ts';

/** A replica that kubelet has not called ready yet. */
export interface StartingReplica {
  /** Of its pod. */
  readonly id: string;
  readonly address: string;
}

export interface AskedReplica {
  readonly address: string;
  /** What it has said last. */
  readonly isReady: boolean;
}

/** `silent`: nobody listens, or no answer comes in time. */
export type Readiness = 'ready' | 'unready' | 'silent';

export interface ReadinessAskerOptions {
  /** A replica of an endpoint says something else than before. */
  readonly onNews: (endpoint: string) => void;
  /** Default: by HTTP, at the port for probes. */
  readonly ask?: (address: string, signal: AbortSignal) => Promise<Readiness>;
}

/** Questions that are under way at a time. */
const MOST = 64;
/** Of all questions together: thousands of replicas that start at once leave this process its time. Milliseconds between two of them. */
const APART_MS = 5;
/** From an answer of a replica to its next question, milliseconds. While init() runs it holds a question for most of a second. */
const UNREADY_MS = 100;
/** Until kubelet confirms it: one whose container has died is found out. */
const READY_MS = 1000;
/** Its container is on the way, perhaps for long: a tenth more each time. */
const SILENT_MS = { least: 50, growth: 1.1, most: 1000 };
const LATE_MS = 2000;

interface Asked extends AskedReplica {
  readonly endpoint: string;
  readonly stop: AbortController;
  isReady: boolean;
  silentMs: number;
  timer?: NodeJS.Timeout;
}

/**
 * Asks starting replicas themselves whether they are ready. Kubelet asks when a container runs, which is before anything in it can listen, and
 * then not for up to a second, which callers would wait.
 */
export class ReadinessAsker {
  readonly #onNews: ReadinessAskerOptions['onNews'];
  readonly #ask: NonNullable<ReadinessAskerOptions['ask']>;
  readonly #endpoints = new Map<string, ReadonlyMap<string, Asked>>();
  /** Whose turn has come, in the order in which it came. */
  readonly #due = new Set<Asked>();
  #count = 0;
  #underWay = 0;
  #isClosed = false;

  constructor({ onNews, ask = askByHttp }: ReadinessAskerOptions) {
    this.#onNews = onNews;
    this.#ask = ask;
  }

  /** Of an endpoint, by the names of their pods. */
  asked(endpoint: string): ReadonlyMap<string, AskedReplica> | undefined {
    return this.#endpoints.get(endpoint);
  }

  /** From now on these replicas of an endpoint are asked, and no others. */
  follow(endpoint: string, starting: readonly StartingReplica[]): void {
    if (this.#isClosed) return;
    const before = this.#endpoints.get(endpoint) ?? new Map<string, Asked>();
    const next = new Map<string, Asked>();
    for (const { id, address } of starting) {
      const known = before.get(id);
      next.set(id, known?.address === address ? known : this.#begin(endpoint, address));
    }
    for (const [id, asked] of before) if (next.get(id) !== asked) this.#end(asked);
    if (next.size === 0) this.#endpoints.delete(endpoint);
    else this.#endpoints.set(endpoint, next);
  }

  close(): void {
    for (const endpoint of [...this.#endpoints.keys()]) this.follow(endpoint, []);
    this.#isClosed = true;
  }

  #begin(endpoint: string, address: string): Asked {
    const asked = { endpoint, address, stop: new AbortController(), isReady: false, silentMs: SILENT_MS.least };
    this.#later(asked, this.#count * APART_MS);
    this.#count += 1;
    return asked;
  }

  #end(asked: Asked): void {
    this.#count -= 1;
    clearTimeout(asked.timer);
    this.#due.delete(asked);
    asked.stop.abort();
  }

  #later(asked: Asked, milliseconds: number): void {
    asked.timer = setTimeout(() => {
      this.#due.add(asked);
      this.#askNext();
    }, milliseconds);
  }

  #askNext(): void {
    for (const asked of this.#due) {
      if (this.#underWay >= MOST) return;
      this.#due.delete(asked);
      void this.#question(asked);
    }
  }

  async #question(asked: Asked): Promise<void> {
    const { endpoint, address, stop } = asked;
    this.#underWay += 1;
    const said = await this.#ask(address, stop.signal).catch(() => 'silent' as const);
    this.#underWay -= 1;
    this.#askNext();
    if (stop.signal.aborted) return;
    const wasReady = asked.isReady;
    asked.isReady = said === 'ready';
    this.#later(asked, Math.max(pauseAfter(asked, said), this.#count * APART_MS));
    if (asked.isReady !== wasReady) this.#onNews(endpoint);
  }
}

function pauseAfter(asked: Asked, said: Readiness): number {
  const { least, growth, most } = SILENT_MS;
  const silentMs = asked.silentMs;
  asked.silentMs = said === 'silent' ? Math.min(most, silentMs * growth) : least;
  return said === 'ready' ? READY_MS : said === 'unready' ? UNREADY_MS : silentMs;
}

function askByHttp(address: string, signal: AbortSignal): Promise<Readiness> {
  return new Promise((resolve) => {
    const asked = request({
      host: address,
      port: HEALTH_PORT,
      path: '/ready',
      agent: false,
      signal: AbortSignal.any([signal, AbortSignal.timeout(LATE_MS)]),
    });
    asked.on('error', () => resolve('silent'));
    asked.on('response', (response) => {
      resolve(response.statusCode === 200 ? 'ready' : 'unready');
      response.destroy();
    });
    asked.end();
  });
}
