import { Admission, type Slot } from './admission.ts';
import type { LoadSample } from './demand.ts';

export interface Simulation {
  /** Arrivals per second, one entry per second of the run. */
  readonly arrivals: readonly number[];
  /** Clients that ask again as soon as they are answered or refused, one entry per second of the run: those that are new come together. */
  readonly clients?: readonly number[];
  /** Milliseconds that a replica works on one request. */
  readonly serviceTime: (random: () => number) => number;
  /** Milliseconds from the decision until a new replica answers. */
  readonly replicaStartMs: number;
  readonly maxConcurrentRequestsPerContainer: number;
  readonly maxQueueWaitMs: number;
  readonly initialReplicas: number;
  /** Asked after every sample: how many replicas shall there be? */
  readonly scale: (sample: LoadSample, replicas: number) => number;
  readonly samplesPerSecond?: number;
  readonly random: () => number;
}

/** One simulated second. */
export interface SimulatedSecond {
  readonly second: number;
  readonly arrived: number;
  /** Ready at the end of the second. */
  readonly ready: number;
  /** Ready or starting. */
  readonly wanted: number;
  readonly queued: number;
  readonly refused: number;
  /** Milliseconds that the requests admitted in this second waited. */
  readonly waiting: { readonly p50: number; readonly p95: number; readonly p99: number };
}

/** What a client needs from an answer to its next request. */
const BETWEEN_MS = 1;

interface Replica {
  readonly id: string;
  readonly readyAt: number;
  draining: boolean;
}

/** Replays a load curve through the queue and a scaling rule in virtual time: a run of an hour takes seconds. */
export function* simulate(simulation: Simulation): Generator<SimulatedSecond> {
  const world = new World(simulation);
  for (let second = 0; second < simulation.arrivals.length; second += 1) yield world.runSecond(second);
}

class World {
  readonly #simulation: Simulation;
  readonly #admission: Admission;
  readonly #events = new EventQueue();
  #replicas: Replica[];
  #made = 0;
  #now = 0;
  #waits: number[] = [];
  #refused = 0;
  #arrived = 0;
  #completed = 0;
  #clients = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#admission = new Admission(this.#limits());
    this.#replicas = Array.from({ length: simulation.initialReplicas }, () => this.#newReplica(0));
    this.#configure();
  }

  runSecond(second: number): SimulatedSecond {
    this.#waits = [];
    this.#refused = 0;
    const before = this.#arrived;
    this.#planArrivals(second);
    for (; this.#clients < this.#clientsAt(second * 1000); this.#clients += 1) this.#askAt(second * 1000);
    const samples = this.#simulation.samplesPerSecond ?? 10;
    for (let step = 1; step <= samples; step += 1) {
      this.#events.add(second * 1000 + (step * 1000) / samples, () => this.#sample());
    }
    const end = (second + 1) * 1000;
    for (let event = this.#events.takeUntil(end); event; event = this.#events.takeUntil(end)) {
      this.#now = event.time;
      event.run();
    }
    const waits = this.#waits.sort((a, b) => a - b);
    return {
      second,
      arrived: this.#arrived - before,
      ready: this.#admission.readyReplicas,
      wanted: this.#wanted().length,
      queued: this.#admission.queued,
      refused: this.#refused,
      waiting: { p50: percentile(waits, 50), p95: percentile(waits, 95), p99: percentile(waits, 99) },
    };
  }

  /** A Poisson process, given its count: that many moments, uniform in the second. */
  #planArrivals(second: number): void {
    const { arrivals, random } = this.#simulation;
    const count = poisson(arrivals[second] ?? 0, random);
    for (let index = 0; index < count; index += 1) {
      this.#events.add((second + random()) * 1000, () => this.#arrive());
    }
  }

  #clientsAt(time: number): number {
    return this.#simulation.clients?.[Math.floor(time / 1000)] ?? 0;
  }

  #askAt(time: number): void {
    this.#events.add(time, () => this.#arrive(() => this.#askAgain()));
  }

  #askAgain(): void {
    if (this.#clients > this.#clientsAt(this.#now)) this.#clients -= 1;
    else this.#askAt(this.#now + BETWEEN_MS);
  }

  #arrive(answered = () => {}): void {
    this.#arrived += 1;
    this.#admission.enter(
      {
        admitted: (slot) => this.#serve(slot, answered),
        refused: () => {
          this.#refused += 1;
          answered();
        },
      },
      this.#now,
    );
    this.#events.add(this.#now + this.#simulation.maxQueueWaitMs, () => this.#admission.advance(this.#now));
  }

  #serve(slot: Slot, answered: () => void): void {
    this.#waits.push(slot.waitedMs);
    const { serviceTime, random } = this.#simulation;
    this.#events.add(this.#now + serviceTime(random), () => {
      this.#completed += 1;
      slot.release(this.#now);
      this.#removeIdle();
      answered();
    });
  }

  #sample(): void {
    const sample = {
      time: this.#now,
      busy: this.#admission.busy,
      queued: this.#admission.queued,
      arrived: this.#arrived,
      completed: this.#completed,
    };
    const wanted = this.#wanted();
    const target = this.#simulation.scale(sample, wanted.length);
    for (let missing = target - wanted.length; missing > 0; missing -= 1) {
      const replica = this.#newReplica(this.#now + this.#simulation.replicaStartMs);
      this.#replicas.push(replica);
      this.#events.add(replica.readyAt, () => this.#configure());
    }
    for (const replica of this.#leastNeeded(wanted).slice(0, Math.max(0, wanted.length - target))) {
      replica.draining = true;
    }
    if (target < wanted.length) {
      this.#configure();
      this.#removeIdle();
    }
  }

  /** Those that have not started yet go first, then the idle ones. */
  #leastNeeded(replicas: readonly Replica[]): Replica[] {
    const need = (replica: Replica) => (replica.readyAt > this.#now ? -1 : this.#admission.inFlight(replica.id));
    return [...replicas].sort((a, b) => need(a) - need(b));
  }

  #removeIdle(): void {
    const before = this.#replicas.length;
    this.#replicas = this.#replicas.filter((replica) => !replica.draining || this.#admission.inFlight(replica.id) > 0);
    if (this.#replicas.length !== before) this.#configure();
  }

  #configure(): void {
    const started = this.#replicas.filter((replica) => replica.readyAt <= this.#now);
    this.#admission.configure(
      this.#limits(),
      started.map(({ id, draining }) => ({ id, accepting: !draining })),
      this.#now,
    );
  }

  #wanted(): Replica[] {
    return this.#replicas.filter((replica) => !replica.draining);
  }

  #newReplica(readyAt: number): Replica {
    this.#made += 1;
    return { id: `r${this.#made}`, readyAt, draining: false };
  }

  #limits() {
    return {
      maxConcurrent: this.#simulation.maxConcurrentRequestsPerContainer,
      maxQueueWaitMs: this.#simulation.maxQueueWaitMs,
    };
  }
}

interface Event {
  readonly time: number;
  readonly run: () => void;
}

/** A binary heap; of equal times, any order. */
class EventQueue {
  readonly #heap: Event[] = [];

  add(time: number, run: () => void): void {
    const heap = this.#heap;
    const event = { time, run };
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || above.time <= time) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  /** The earliest event before `end`, if there is one. */
  takeUntil(end: number): Event | undefined {
    const first = this.#heap[0];
    if (!first || first.time > end) return undefined;
    const last = this.#heap.pop();
    if (last && last !== first) this.#sink(last);
    return first;
  }

  #sink(event: Event): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = left && right && right.time < left.time ? 2 * at + 2 : 2 * at + 1;
      const below = heap[child];
      if (!below || below.time >= event.time) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = event;
  }
}

/** Knuth's method, in pieces small enough for the exponential. */
function poisson(mean: number, random: () => number): number {
  let count = 0;
  for (let left = mean; left > 0; left -= 50) {
    const limit = Math.exp(-Math.min(left, 50));
    for (let product = random(); product > limit; product *= random()) count += 1;
  }
  return count;
}

/** Of sorted values; 0 of none. */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0;
}
