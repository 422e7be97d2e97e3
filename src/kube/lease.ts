import { AksmlError } from '../contract/error.ts';
import type { KubeClient } from './kube.ts';
import type { ObjectName } from './object.ts';
import { LEASES, type Lease } from './resource.ts';
import { SYSTEM_PORTS, type TransportPorts } from './transport.ts';

export interface LeaderElection {
  readonly lease: Required<ObjectName>;
  /** This candidate, unlike any other: a pod's name and uid. */
  readonly identity: string;
  /**
   * Runs while this candidate leads; its signal aborts when leadership ends. Must return soon after. `holds` tells at once, also a process
   * that has just woken from a long sleep and has not heard the signal yet.
   */
  readonly lead: (signal: AbortSignal, holds: () => boolean) => Promise<void>;
  readonly onChange?: (change: { readonly type: 'leading' | 'lost' | 'waiting'; readonly leader?: string }) => void;
  readonly onError?: (error: unknown) => void;
  /** Milliseconds; Kubernetes' own components have 15, 10 and 2 s. */
  readonly leaseMs?: number;
  readonly renewMs?: number;
  readonly retryMs?: number;
  readonly ports?: TransportPorts & { readonly monotonic?: () => number };
}

/**
 * Leads while this candidate holds the Lease, again and again, until the signal; then gives the Lease back, so that the next need not wait.
 * A Lease does not fence: a leader that was paused may believe in itself for a moment, so every write must carry a precondition.
 */
export async function electLeader(kube: KubeClient, election: LeaderElection, signal: AbortSignal): Promise<void> {
  const candidate = new Candidate(kube, election);
  while (!signal.aborted) {
    if (await candidate.acquire(signal)) await candidate.lead(signal);
  }
}

class Candidate {
  readonly #kube: KubeClient;
  readonly #election: LeaderElection;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #retryMs: number;
  readonly #ports: TransportPorts;
  readonly #monotonic: () => number;
  /** The lease as last seen, and when: clocks of different machines are never compared. */
  #seen: { readonly lease: Lease; readonly at: number } | undefined;
  #toldLeader: string | undefined;
  /** When the last successful renewal was asked for. */
  #renewed = 0;

  constructor(kube: KubeClient, election: LeaderElection) {
    this.#kube = kube;
    this.#election = election;
    this.#leaseMs = election.leaseMs ?? 15_000;
    this.#renewMs = election.renewMs ?? 10_000;
    this.#retryMs = election.retryMs ?? 2_000;
    this.#ports = election.ports ?? SYSTEM_PORTS;
    this.#monotonic = election.ports?.monotonic ?? (() => performance.now());
  }

  /** Whether this candidate holds the lease; false only when the signal came first. */
  async acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      this.#renewed = this.#monotonic();
      if (await this.#try(signal)) return true;
      const leader = this.#seen?.lease.spec?.holderIdentity;
      if (leader !== undefined && leader !== this.#toldLeader) this.#election.onChange?.({ type: 'waiting', leader });
      this.#toldLeader = leader;
      await this.#pause(signal);
    }
    return false;
  }

  async lead(signal: AbortSignal): Promise<void> {
    const { onChange, onError } = this.#election;
    const end = new AbortController();
    this.#toldLeader = this.#election.identity;
    onChange?.({ type: 'leading', leader: this.#election.identity });
    const leading = AbortSignal.any([signal, end.signal]);
    const holds = () => !leading.aborted && this.#monotonic() - this.#renewed < this.#renewMs;
    const work = this.#election
      .lead(leading, holds)
      .catch((error) => onError?.(error))
      .finally(() => end.abort());
    await this.#renew(leading);
    end.abort();
    await work;
    onChange?.({ type: 'lost' });
    // What was written last is written: the next leader may begin at once.
    await this.#release().catch((error) => onError?.(error));
  }

  /** Returns when the lease is lost or the signal comes. */
  async #renew(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(signal);
      if (signal.aborted) return;
      const asked = this.#monotonic();
      const left = this.#renewMs - (asked - this.#renewed);
      // A process that slept through its term must not believe in it for another round.
      if (left <= 0) return;
      if (await this.#try(AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(left))]))) this.#renewed = asked;
      else if (this.#heldByAnother()) return;
    }
  }

  #heldByAnother(): boolean {
    const holder = this.#seen?.lease.spec?.holderIdentity;
    return holder !== undefined && holder !== '' && holder !== this.#election.identity;
  }

  /** One attempt to take or keep the lease; errors are told and mean no. */
  async #try(signal: AbortSignal): Promise<boolean> {
    try {
      const found = await this.#kube.find(LEASES, this.#election.lease, signal);
      if (found === undefined) {
        this.#see(await this.#kube.create(LEASES, this.#claim(undefined), { ...MANAGER, signal }));
        return true;
      }
      this.#see(found);
      if (this.#heldByAnother() && !this.#expired()) return false;
      this.#see(await this.#kube.replace(LEASES, this.#claim(found), { ...MANAGER, signal }));
      return true;
    } catch (error) {
      const beaten = AksmlError.is(error, 'kube.conflict') || AksmlError.is(error, 'kube.alreadyExists');
      if (!beaten && !signal.aborted) this.#election.onError?.(error);
      return false;
    }
  }

  #see(lease: Lease): void {
    if (this.#seen?.lease.metadata.resourceVersion === lease.metadata.resourceVersion) return;
    this.#seen = { lease, at: this.#monotonic() };
  }

  #expired(): boolean {
    if (this.#seen === undefined) return false;
    const term = (this.#seen.lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return this.#monotonic() - this.#seen.at > term;
  }

  #claim(found: Lease | undefined): Lease {
    const { identity, lease } = this.#election;
    const time = microTime(new Date());
    const mine = found?.spec?.holderIdentity === identity;
    const transitions = found?.spec?.leaseTransitions ?? 0;
    return {
      apiVersion: LEASES.apiVersion,
      kind: LEASES.kind,
      metadata: found?.metadata ?? lease,
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.max(1, Math.ceil(this.#leaseMs / 1000)),
        acquireTime: (mine ? found?.spec?.acquireTime : undefined) ?? time,
        renewTime: time,
        leaseTransitions: found === undefined || mine ? transitions : transitions + 1,
      },
    };
  }

  async #release(): Promise<void> {
    const lease = this.#seen?.lease;
    if (lease?.spec?.holderIdentity !== this.#election.identity) return;
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(new Date()) };
    const signal = AbortSignal.timeout(this.#retryMs);
    this.#see(await this.#kube.replace(LEASES, { ...lease, spec }, { ...MANAGER, signal }));
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await this.#ports.sleep(this.#retryMs * (1 + this.#ports.random() * 0.2), signal).catch(() => undefined);
  }
}

const MANAGER = { fieldManager: 'aksml-leader-election' };

/** The API wants microseconds. */
function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}
