export interface AdmissionLimits {
  /** Requests at one replica at once. */
  readonly maxConcurrent: number;
  readonly maxQueueWaitMs: number;
}

export interface AdmissionReplica {
  readonly id: string;
  /** A draining replica finishes what it has and gets nothing new. */
  readonly accepting: boolean;
}

/** `overloaded`: waited its time while replicas were busy. `noReplicas`: there was none to wait for. */
export type Refusal = 'overloaded' | 'noReplicas';

/** A request's place at a replica. It is taken until released, whatever became of the client: the replica may still be at work. */
export interface Slot {
  readonly replica: string;
  /** Milliseconds between asking and getting it. */
  readonly waitedMs: number;
  /** Safe to call again. */
  release(now: number): void;
}

/** Is told exactly once, perhaps before {@link Admission.enter} has returned. */
export interface Applicant {
  admitted(slot: Slot): void;
  refused(reason: Refusal): void;
}

/** One in the queue; opaque to its holder. */
export interface Ticket {
  readonly since: number;
}

interface Entry extends Ticket {
  readonly applicant: Applicant;
}

interface ReplicaState {
  readonly id: string;
  accepting: boolean;
  inFlight: number;
  suspendedUntil: number;
}

/**
 * Who may go to which replica of one version, and when: first come first served, never more than `maxConcurrent` at a replica,
 * 503 after `maxQueueWaitMs`. Times are monotonic milliseconds given by the caller, who calls {@link advance} at {@link nextEvent}.
 */
export class Admission {
  #limits: AdmissionLimits;
  #replicas: ReplicaState[] = [];
  readonly #queue = new Set<Entry>();
  /** Were admitted, found the replica unreachable, and go before everybody else: they have waited longest. */
  readonly #returned = new Set<Entry>();
  #turn = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get queued(): number {
    return this.#queue.size + this.#returned.size;
  }

  get busy(): number {
    return this.#replicas.reduce((sum, replica) => sum + replica.inFlight, 0);
  }

  get readyReplicas(): number {
    return this.#replicas.reduce((count, replica) => count + Number(replica.accepting), 0);
  }

  inFlight(replica: string): number {
    return this.#replicas.find((candidate) => candidate.id === replica)?.inFlight ?? 0;
  }

  /** Replicas that stay keep what they hold; those that are gone are forgotten, and releasing their slots does nothing. */
  configure(limits: AdmissionLimits, replicas: readonly AdmissionReplica[], now: number): void {
    this.#limits = limits;
    this.#replicas = replicas.map(({ id, accepting }) => {
      const known = this.#replicas.find((candidate) => candidate.id === id);
      if (!known) return { id, accepting, inFlight: 0, suspendedUntil: 0 };
      known.accepting = accepting;
      return known;
    });
    this.advance(now);
  }

  /** Asks for a slot. `since` is given by those who come back after a slot turned out to be useless. */
  enter(applicant: Applicant, now: number, since?: number): Ticket {
    const entry: Entry = { applicant, since: since ?? now };
    const line = since === undefined ? this.#queue : this.#returned;
    if (line === this.#returned || this.queued === 0) {
      const replica = this.#pick(now);
      if (replica) {
        this.#admit(entry, replica, now);
        return entry;
      }
    }
    if (this.readyReplicas === 0) applicant.refused('noReplicas');
    else if (now - entry.since >= this.#limits.maxQueueWaitMs) applicant.refused(this.#refusal(now));
    else line.add(entry);
    return entry;
  }

  /** The client has gone. Does nothing for one who is no longer waiting. */
  leave(ticket: Ticket): void {
    const entry = ticket as Entry;
    this.#queue.delete(entry);
    this.#returned.delete(entry);
  }

  /** Gives a replica nothing new for a while: it refused a connection. */
  suspend(replica: string, until: number): void {
    const state = this.#replicas.find((candidate) => candidate.id === replica);
    if (state) state.suspendedUntil = until;
  }

  /** Admits those for whom there is a place now and refuses those whose time is up. */
  advance(now: number): void {
    this.#dispatch(now);
    for (const line of [this.#returned, this.#queue]) {
      for (const entry of line) {
        if (now - entry.since < this.#limits.maxQueueWaitMs) break;
        line.delete(entry);
        entry.applicant.refused(this.#refusal(now));
      }
    }
  }

  /** When {@link advance} has something to do, if nothing else happens before. */
  nextEvent(now: number): number | undefined {
    const first = this.#first();
    if (!first) return undefined;
    const deadline = first.since + this.#limits.maxQueueWaitMs;
    const resumptions = this.#replicas
      .filter((replica) => replica.accepting && replica.suspendedUntil > now)
      .map((replica) => replica.suspendedUntil);
    return Math.min(deadline, ...resumptions);
  }

  /** Empties the queue without an answer, for those who will be sent elsewhere. */
  takeQueued(which: (applicant: Applicant) => boolean): Ticket[] {
    const taken = [...this.#returned, ...this.#queue].filter((entry) => which(entry.applicant));
    for (const entry of taken) this.leave(entry);
    return taken;
  }

  #dispatch(now: number): void {
    for (let entry = this.#first(); entry; entry = this.#first()) {
      const replica = this.#pick(now);
      if (!replica) return;
      this.leave(entry);
      this.#admit(entry, replica, now);
    }
  }

  #admit(entry: Entry, replica: ReplicaState, now: number): void {
    replica.inFlight += 1;
    let held = true;
    entry.applicant.admitted({
      replica: replica.id,
      waitedMs: now - entry.since,
      release: (then) => {
        if (!held) return;
        held = false;
        replica.inFlight -= 1;
        this.#dispatch(then);
      },
    });
  }

  /** The least busy; among equals each in turn. */
  #pick(now: number): ReplicaState | undefined {
    const count = this.#replicas.length;
    let best: ReplicaState | undefined;
    let bestAt = 0;
    for (let step = 0; step < count; step += 1) {
      const at = (this.#turn + step) % count;
      const replica = this.#replicas[at];
      if (!replica?.accepting || replica.inFlight >= this.#limits.maxConcurrent) continue;
      if (replica.suspendedUntil > now) continue;
      if (best && best.inFlight <= replica.inFlight) continue;
      best = replica;
      bestAt = at;
      if (best.inFlight === 0) break;
    }
    if (best) this.#turn = (bestAt + 1) % count;
    return best;
  }

  #first(): Entry | undefined {
    for (const entry of this.#returned) return entry;
    for (const entry of this.#queue) return entry;
    return undefined;
  }

  #refusal(now: number): Refusal {
    return this.#replicas.some((replica) => replica.accepting && replica.suspendedUntil <= now)
      ? 'overloaded'
      : 'noReplicas';
  }
}
