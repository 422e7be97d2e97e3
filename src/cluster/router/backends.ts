import { setTimeout as sleep } from 'node:timers/promises';
import { aversion, type ReplicaRecord, WEIGHTS } from './aversion.ts';
import {
  addCommands,
  backendsInUse,
  canQueue,
  isTwin,
  queueIn,
  serverLine,
  usedConnections,
} from './haproxy-commands.ts';
import type { Server } from './router-servers.ts';
import type { RuntimeApi } from './runtime-api.ts';

export interface BackendsOptions {
  readonly api: RuntimeApi;
  readonly log: (line: string) => void;
  /** Does something when nobody else is changing anything. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
}

const POLL_MS = 10;
const LATER_MS = 1000;

/** The servers of HAProxy's backends: replicas, and other routers. */
export class Backends {
  readonly #api: RuntimeApi;
  readonly #log: (line: string) => void;
  readonly #inTurn: BackendsOptions['inTurn'];
  /** Of each backend, by their names. */
  readonly #servers = new Map<string, Map<string, Server>>();
  /** What each backend was made to have last. */
  #applied: ReadonlyMap<string, readonly Server[]> = new Map();
  /** How long the trials of replicas are that are shunned, by backends. */
  readonly #trials = new Map<string, ReadonlyMap<string, number>>();
  /** Paths of servers that are to go as soon as nothing is under way to them. */
  readonly #lingering = new Set<string>();

  constructor({ api, log, inTurn }: BackendsOptions) {
    this.#api = api;
    this.#log = log;
    this.#inTurn = inTurn;
  }

  /** Requests that are at replicas, by backends: of all, or of some. @throws AksmlError `router.haproxyUnreachable` */
  async busyIn(backends?: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (backends?.length === 0) return new Map();
    const commands = backends?.map((backend) => `show servers conn ${backend}`) ?? ['show servers conn'];
    const sums = new Map<string, number>();
    for (const text of await this.#api.run(commands)) {
      for (const [path, used] of usedConnections(text)) {
        const [backend = '', server] = path.split('/');
        if (server !== 'elsewhere' && used > 0) sums.set(backend, (sums.get(backend) ?? 0) + used);
      }
    }
    return sums;
  }

  /** Those that a request is in: what it takes to tell grows with the requests, not with the backends. @throws AksmlError `router.haproxyUnreachable` */
  async inUse(): Promise<ReadonlySet<string>> {
    const [text = ''] = await this.#api.run(['show sess']);
    return backendsInUse(text);
  }

  /** Requests that wait, by backends. @throws AksmlError `router.haproxyUnreachable` */
  async queuedIn(backends: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const answers = await this.#api.run(backends.map((backend) => `show stat ${backend} 2 -1`));
    return new Map(backends.map((backend, index) => [backend, queueIn(answers[index] ?? '')]));
  }

  /** How many requests its ready replicas take at once. */
  capacityOf(backend: string): number {
    return readyOf(this.#servers.get(backend) ?? new Map()).reduce((sum, { maxConcurrent }) => sum + maxConcurrent, 0);
  }

  /** Requests that are at replicas, by the replicas' names in HAProxy. */
  async busy(): Promise<ReadonlyMap<string, number>> {
    const [text = ''] = await this.#api.run(['show servers conn']);
    return usedConnections(text);
  }

  /** Replicas that are new, or ready again. A held backend's twin must have them first. */
  async add(wanted: ReadonlyMap<string, readonly Server[]>): Promise<void> {
    const commands: string[] = [];
    for (const [backend, servers] of [...wanted].reverse()) {
      if (this.#applied.get(backend) === servers) continue;
      const present = this.#serversIn(backend);
      const isBesideOthers = servers.some(
        ({ name, state }) => state === 'ready' && present.get(name)?.state === 'ready',
      );
      for (const server of servers) {
        const before = present.get(server.name);
        if (before?.line === server.line && before.state === server.state) continue;
        const path = `${backend}/${server.name}`;
        if (this.#lingering.delete(path)) commands.push(`set server ${path} state ready`);
        else if (before === undefined) commands.push(...addCommands(path, server, canQueue(backend) && isBesideOthers));
        else if (before.maxConcurrent !== server.maxConcurrent)
          commands.push(`set maxconn server ${path} ${server.maxConcurrent}`);
        if (before?.state === 'draining' && server.state === 'ready') commands.push(`set server ${path} state ready`);
        if (before === undefined || server.state === 'ready') present.set(server.name, server);
      }
    }
    await this.#api.change(commands);
  }

  /** Replicas that get nothing new, and those that are cut. Who waits for the last of a version leaves its queue. */
  async drainAndCut(wanted: ReadonlyMap<string, readonly Server[]>): Promise<void> {
    for (const [backend, present] of this.#servers) {
      if (this.#applied.get(backend) === wanted.get(backend)) continue;
      const next = new Map((wanted.get(backend) ?? []).map((server) => [server.name, server]));
      const hadReady = readyOf(present).length > 0;
      const hasReady = readyOf(next).length > 0;
      const isLeft = !wanted.has(backend);
      if ((hadReady || isLeft) && !hasReady && canQueue(backend)) {
        await this.emptyQueue(backend, isLeft ? 'leave open' : 'shut');
      }
      const commands: string[] = [];
      const cut: string[] = [];
      for (const [name, server] of present) {
        const path = `${backend}/${name}`;
        const then = next.get(name);
        if (then === undefined) {
          commands.push(`set server ${path} state maint`);
          // What somebody has of ours is answered by him, or his end is seen; servers of users' own can be deaf.
          if (isTwin(backend)) commands.push(`shutdown sessions server ${path}`);
          cut.push(name);
        } else if (then.state === 'draining' && server.state === 'ready') {
          if (hasReady) commands.push(`set server ${path} state drain`);
          present.set(name, then);
        }
      }
      await this.#api.change(commands);
      for (const name of cut) this.#removeLater(backend, name).catch((error: unknown) => this.#log(String(error)));
    }
    this.#applied = wanted;
  }

  /** Once nothing is under way to it. */
  async #removeLater(backend: string, name: string): Promise<void> {
    const path = `${backend}/${name}`;
    this.#servers.get(backend)?.delete(name);
    this.#lingering.add(path);
    while (this.#lingering.has(path)) {
      await sleep(LATER_MS, undefined, { ref: false });
      await this.#inTurn(async () => {
        if (!this.#lingering.has(path)) return;
        const [answer = ''] = await this.#api.run([`del server ${path}`]);
        if (/deleted|No such server/.test(answer)) this.#lingering.delete(path);
      });
    }
  }

  /**
   * Those in the queue of a backend are sent on to wherever their endpoint's requests go now. Afterwards its servers take requests again, for
   * routers that take this one for the owner a moment longer (`back`), the way out is shut, or it stays open for requests that are sent there
   * only now, because they were looked at before.
   */
  async emptyQueue(backend: string, then: 'back' | 'shut' | 'leave open'): Promise<void> {
    const ready = readyOf(this.#serversIn(backend));
    const each = (state: string) => ready.map(({ name }) => `set server ${backend}/${name} state ${state}`);
    await this.#api.change([`set server ${backend}/elsewhere state ready`, ...each('drain')]);
    while (((await this.queuedIn([backend])).get(backend) ?? 0) > 0) await sleep(POLL_MS);
    if (then === 'back') await this.#api.change(each('ready'));
    if (then !== 'leave open') await this.shutWayOut(backend);
  }

  async shutWayOut(backend: string): Promise<void> {
    await this.#api.change([`set server ${backend}/elsewhere state maint`]);
  }

  #serversIn(backend: string): Map<string, Server> {
    const known = this.#servers.get(backend);
    if (known) return known;
    const fresh = new Map<string, Server>();
    this.#servers.set(backend, fresh);
    return fresh;
  }

  /** Gives replicas of a backend that fail where their neighbours work nothing but a trial; resolves when the trials are over. */
  async shun(backend: string, records: ReadonlyMap<string, ReplicaRecord>): Promise<void> {
    const weigh = (names: readonly string[], weight: keyof typeof WEIGHTS) =>
      this.#api.change(names.map((name) => `set server ${backend}/${name} weight ${WEIGHTS[weight]}%`));
    const judge = async () => {
      const present = this.#serversIn(backend);
      const before = new Map([...(this.#trials.get(backend) ?? [])].filter(([name]) => present.has(name)));
      const trials = new Map([...aversion(records, before)].filter(([name]) => present.has(name)));
      this.#trials.set(backend, trials);
      await weigh([...new Set([...before.keys(), ...trials.keys()])], 'usual');
      return trials;
    };
    let trials: ReadonlyMap<string, number> = new Map();
    await this.#inTurn(async () => {
      trials = await judge();
    });
    const begun = performance.now();
    for (const [name, trialMs] of [...trials].sort(([, one], [, other]) => one - other)) {
      await sleep(Math.max(0, begun + trialMs - performance.now()));
      await this.#inTurn(async () => {
        // A worker that has begun meanwhile knows nothing of it.
        const isStill = this.#trials.get(backend) === trials && this.#serversIn(backend).has(name);
        if (isStill) await weigh([name], 'shunned');
      });
    }
  }

  /** In the configuration, with the places gone that requests in another worker have. Nothing lingers in a worker that begins. */
  lines(busy: ReadonlyMap<string, number>): ReadonlyMap<string, readonly string[]> {
    this.#lingering.clear();
    this.#trials.clear();
    return new Map(
      [...this.#servers].map(([backend, present]) => [
        backend,
        [...present.values()].map((server) =>
          serverLine(server, canQueue(backend) ? (busy.get(`${backend}/${server.name}`) ?? 0) : 0),
        ),
      ]),
    );
  }

  /** Those whose ready replicas have as many requests as they take. */
  full(busy: ReadonlyMap<string, number>): ReadonlySet<string> {
    const full = [...this.#servers].filter(([backend, servers]) => {
      const ready = readyOf(servers);
      const taken = ({ name, maxConcurrent }: Server) => (busy.get(`${backend}/${name}`) ?? 0) >= maxConcurrent;
      return canQueue(backend) && ready.length > 0 && ready.every(taken);
    });
    return new Set(full.map(([backend]) => backend));
  }

  /** For every backend that has ready replicas: the states of the way out, and of those replicas. */
  async setStates(elsewhere: string, replicas: string): Promise<void> {
    const commands = [...this.#servers].flatMap(([backend, servers]) => {
      const ready = readyOf(servers);
      if (!canQueue(backend) || ready.length === 0) return [];
      return [
        `set server ${backend}/elsewhere state ${elsewhere}`,
        ...ready.map(({ name }) => `set server ${backend}/${name} state ${replicas}`),
      ];
    });
    await this.#api.change(commands);
  }

  /** Replicas by their paths in HAProxy. */
  paths(which: (path: string) => boolean): (readonly [string, Server])[] {
    return [...this.#servers].flatMap(([backend, servers]) =>
      canQueue(backend)
        ? [...servers.values()]
            .map((server) => [`${backend}/${server.name}`, server] as const)
            .filter(([path]) => which(path))
        : [],
    );
  }
}

function readyOf(servers: ReadonlyMap<string, Server>): Server[] {
  return [...servers.values()].filter(({ state }) => state === 'ready');
}
