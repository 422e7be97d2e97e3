import { Admission, type Applicant, type Ticket } from '../serving/admission.ts';
import type { GatewayVersion, VersionSample } from './gateway-protocol.ts';
import { ReplicaConnection } from './gateway-replica.ts';

/** Longest and first rest of a replica that refused a connection, milliseconds. */
const LONGEST_REST = 1000;
const FIRST_REST = 25;

/** A version while the gateway runs: its queue and its replicas' connections, kept across configurations. */
export class RunningVersion {
  readonly endpoint: string;
  readonly name: string;
  /** Since the gateway began. */
  requests = 0;
  completed = 0;
  readonly #admission: Admission;
  #replicas = new Map<string, ReplicaConnection>();
  #configuration: GatewayVersion;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = 0;

  constructor(endpoint: string, configuration: GatewayVersion) {
    this.endpoint = endpoint;
    this.name = configuration.name;
    this.#configuration = configuration;
    this.#admission = new Admission(limits(configuration));
    this.configure(configuration);
  }

  get configuration(): GatewayVersion {
    return this.#configuration;
  }

  get readyReplicas(): number {
    return this.#admission.readyReplicas;
  }

  configure(configuration: GatewayVersion): void {
    this.#configuration = configuration;
    const before = this.#replicas;
    this.#replicas = new Map(
      configuration.replicas.map(({ id, port }) => {
        const known = before.get(id);
        return [id, known?.port === port ? known : new ReplicaConnection(id, port)];
      }),
    );
    this.#admission.configure(
      limits(configuration),
      configuration.replicas.map(({ id, state }) => ({ id, accepting: state === 'ready' })),
      performance.now(),
    );
    for (const [id, replica] of before) if (this.#replicas.get(id) !== replica) replica.cut();
    this.#watchQueue();
  }

  replica(id: string): ReplicaConnection | undefined {
    return this.#replicas.get(id);
  }

  enter(applicant: Applicant, since?: number): Ticket {
    const ticket = this.#admission.enter(applicant, performance.now(), since);
    this.#watchQueue();
    return ticket;
  }

  leave(ticket: Ticket): void {
    this.#admission.leave(ticket);
  }

  /** The replica refused a connection: it rests, longer each time, while others serve. */
  rest(replica: ReplicaConnection): void {
    replica.consecutiveFailures += 1;
    const rest = Math.min(LONGEST_REST, FIRST_REST * 2 ** (replica.consecutiveFailures - 1));
    this.#admission.suspend(replica.id, performance.now() + rest);
    this.#watchQueue();
  }

  takeQueued(which: (applicant: Applicant) => boolean): Ticket[] {
    return this.#admission.takeQueued(which);
  }

  sample(): VersionSample {
    return {
      endpoint: this.endpoint,
      version: this.name,
      queued: this.#admission.queued,
      requests: this.requests,
      completed: this.completed,
      replicas: [...this.#replicas.values()].map(({ id, consecutiveFailures }) => ({
        id,
        inFlight: this.#admission.inFlight(id),
        consecutiveFailures,
      })),
    };
  }

  /** Cuts everything; those who wait are told at once. */
  close(): void {
    this.configure({ ...this.#configuration, replicas: [], maxQueueWaitMs: 0 });
  }

  /** One timer for the whole queue: its head is always the first to run out. */
  #watchQueue(): void {
    const now = performance.now();
    const next = this.#admission.nextEvent(now);
    if (next === undefined || (this.#timer !== undefined && this.#timerAt <= next)) return;
    clearTimeout(this.#timer);
    this.#timerAt = next;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#admission.advance(performance.now());
        this.#watchQueue();
      },
      Math.max(0, next - now),
    );
  }
}

function limits(configuration: GatewayVersion) {
  return {
    maxConcurrent: configuration.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: configuration.maxQueueWaitMs,
  };
}
