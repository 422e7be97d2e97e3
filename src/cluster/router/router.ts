import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AksmlError } from '../../contract/error.ts';
import type { ReplicaRecord } from './aversion.ts';
import { Backends } from './backends.ts';
import { Certificates } from './certificates.ts';
import { Gate } from './gate.ts';
import { canQueue, mapText, peerServer, slotCommands, usedConnections } from './haproxy-commands.ts';
import { haproxyConfig, REFUSALS } from './haproxy-config.ts';
import { LOG_PARTS } from './haproxy-frontends.ts';
import { grpcPeer, MAPS, mapPath, SOCKETS } from './haproxy-names.ts';
import { HaproxyProcess } from './haproxy-process.ts';
import { LUA } from './lua.ts';
import { MapState } from './map-state.ts';
import { Owners } from './owners.ts';
import { MOST_PEERS, Peers } from './peers.ts';
import { type ServersByBackend, serverPrefix } from './router-servers.ts';
import { type RouterSettings as AdministratorSettings, DEFAULT_ROUTER_SETTINGS } from './router-settings.ts';
import type { RoutedEndpoint, RoutedVersion, RoutingTable } from './routing-table.ts';
import { RuntimeApi } from './runtime-api.ts';
import type { RouterSecrets } from './table-facts.ts';
import { VersionBackends } from './version-backends.ts';

export interface RouterSettings {
  /** Of its pod. */
  readonly name: string;
  /** Private, and only this router's. */
  readonly folder: string;
  /** The executable. */
  readonly haproxy: string;
  /** Such as `*`. */
  readonly address: string;
  readonly port: number;
  /** Where it listens once there is a certificate. */
  readonly tlsPort?: number;
  readonly hopPort: number;
  readonly logPort: number;
  readonly threads: number;
  readonly maxConnections: number;
  readonly log: (line: string) => void;
  /** Is told what HAProxy works by, for those who hold requests for it. */
  readonly inForce?: (table: RoutingTable) => void;
}

type OwnedVersions = ReadonlyMap<string, { readonly endpoint: string; readonly version: string }>;

const NOBODY: RouterSecrets = { hop: [], challenges: new Map(), certificates: [] };
const EMPTY: RoutingTable = { endpoints: [], routers: [] };
const POLL_MS = 10;
const RESTART_MS = 500;

/**
 * Makes HAProxy do what a {@link RoutingTable} says, at run time: replicas, weights, keys and new endpoints take effect within milliseconds and
 * without a reload. A pool that is used up, and a queue time that no backend of it has, cost one.
 */
export class Router {
  readonly #settings: RouterSettings;
  readonly #process: HaproxyProcess;
  readonly #api: RuntimeApi;
  readonly backends: Backends;
  readonly #versions: VersionBackends;
  readonly #maps: MapState;
  #owners = new Owners([]);
  /** Endpoints that this router owns, as HAProxy knows it. */
  #owned: ReadonlySet<string> = new Set();
  /** Until something of it changes: it is asked for with every sample. */
  #ownedVersions: OwnedVersions | undefined;
  readonly #peers = new Peers();
  #table: RoutingTable = EMPTY;
  #secrets: RouterSecrets = NOBODY;
  /** Whether plain HTTP is redirected, once there is a certificate. */
  #redirects = !DEFAULT_ROUTER_SETTINGS.allowInsecureConnections;
  readonly #certificates: Certificates;
  #toldParts = LOG_PARTS;
  #started = false;
  #stopping = false;
  /** Backends whose every place is taken by what an old worker still has. */
  #full: ReadonlySet<string> = new Set();
  /** Changes are made one after another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(settings: RouterSettings) {
    this.#settings = settings;
    this.#process = new HaproxyProcess(settings.haproxy, settings.folder, settings.log);
    this.#certificates = new Certificates(settings.folder, settings.log);
    this.#maps = new MapState(settings.folder);
    this.#versions = new VersionBackends(settings.folder);
    // What is ordered in turn must not keep one that has died from being started again.
    this.#api = new RuntimeApi(join(settings.folder, SOCKETS.admin), () => this.#process.running);
    this.backends = new Backends({ api: this.#api, log: settings.log, inTurn: (work) => this.#inTurn(work) });
  }

  get api(): RuntimeApi {
    return this.#api;
  }

  get name(): string {
    return this.#settings.name;
  }

  /** By their backends: the versions of endpoints whose requests wait in this router. */
  ownedVersions(): OwnedVersions {
    this.#ownedVersions ??= this.#findOwnedVersions();
    return this.#ownedVersions;
  }

  #findOwnedVersions(): OwnedVersions {
    const owned = this.#versions.all.filter(({ endpoint }) => this.#owned.has(endpoint));
    return new Map(owned.map(({ backend, endpoint, version }) => [backend, { endpoint, version }]));
  }

  /** Starts HAProxy with what is known so far. @throws AksmlError `router.haproxyFailed` */
  async start(): Promise<void> {
    await this.#inTurn(() => this.#start());
    this.#started = true;
  }

  /** Resolves once the table is in force. @throws AksmlError `router.haproxyFailed`, `router.haproxyUnreachable` */
  async configure(
    table: RoutingTable,
    secrets: RouterSecrets = this.#secrets,
    { allowInsecureConnections }: Pick<AdministratorSettings, 'allowInsecureConnections'> = DEFAULT_ROUTER_SETTINGS,
  ): Promise<void> {
    this.#table = table;
    this.#secrets = secrets;
    await this.#inTurn(async () => {
      try {
        await this.#apply(!allowInsecureConnections);
      } catch (error) {
        if (!AksmlError.is(error, 'router.haproxyRefused')) throw error;
        // What HAProxy has is not what was thought: a worker that begins anew has what is written.
        this.#settings.log(error.message);
        await this.#reload();
        await this.#apply(!allowInsecureConnections);
      }
    });
  }

  /** Makes HAProxy tell of this part of all requests, more than 0 and at most 1. */
  async tellOf(share: number): Promise<void> {
    const parts = Math.max(1, Math.round(share * LOG_PARTS));
    if (parts === this.#toldParts) return;
    await this.#api.change(['experimental-mode on', `set var proc.share int(${parts})`]);
    this.#toldParts = parts;
  }

  /** Gives replicas that fail where their neighbours work nothing but a trial; resolves when the trials are over. */
  async shun(records: ReadonlyMap<string, ReadonlyMap<string, ReplicaRecord>>): Promise<void> {
    const queues = [...records].filter(([backend]) => canQueue(backend));
    await Promise.all(queues.map(([backend, servers]) => this.backends.shun(backend, servers)));
  }

  /** Resolves once nothing is under way to these replicas, in workers of before a reload neither. */
  async drained(replicas: readonly string[]): Promise<void> {
    const prefixes = replicas.map((id) => `/${serverPrefix(id)}`);
    const isBusy = ([path, used]: readonly [string, number]) =>
      used > 0 && prefixes.some((prefix) => path.includes(prefix));
    while ([...(await this.#busyEverywhere())].some(isBusy)) await sleep(POLL_MS);
  }

  /** Answers what it has, takes nothing new, and ends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#process.stop();
  }

  async kill(): Promise<void> {
    this.#stopping = true;
    await this.#process.kill();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  async #start(): Promise<void> {
    await mkdir(join(this.#settings.folder, 'maps'), { recursive: true, mode: 0o700 });
    await this.#write('aksml.lua', LUA);
    for (const [name, entries] of Object.entries(REFUSALS)) await this.#write(join('maps', name), mapText(entries));
    this.#versions.grow(this.#table);
    await this.#certificates.write(this.#secrets.certificates);
    await this.#writeConfiguration(new Map());
    await this.#process.start((code) => this.#ended(code));
  }

  /** HAProxy is not to be without this router: whatever ended it, it comes back with what is in force. */
  #ended(code: number | null): void {
    if (this.#stopping || !this.#started) return;
    this.#settings.log(`HAProxy has ended with ${code} and is started again`);
    this.#inTurn(() => this.#startAgain()).catch((error: unknown) => this.#settings.log(String(error)));
  }

  async #startAgain(): Promise<void> {
    while (!this.#stopping) {
      try {
        return await this.#start();
      } catch (error) {
        this.#settings.log(String(error));
        await sleep(RESTART_MS);
      }
    }
  }

  async #apply(redirects: boolean): Promise<void> {
    const { certificates } = this.#secrets;
    await this.#versions.clearLeaving((backend) => this.backends.shutWayOut(backend));
    const isOtherwise = redirects !== this.#redirects || this.#certificates.needReload(certificates);
    this.#redirects = redirects;
    const owned = this.#endpointsOwned();
    const lost = this.#endpointsLost(owned);
    const moved = this.#versions.releaseMoved(this.#table);
    if (!this.#assign() || isOtherwise) await this.#reload();
    else await this.#certificates.change(certificates, this.#api);
    this.#peers.assign(this.#table.routers.map(({ name }) => name).filter((name) => name !== this.#settings.name));
    const wanted = this.#wantedServers();
    await this.backends.add(wanted);
    await this.#applyMaps();
    this.#owned = owned;
    this.#ownedVersions = undefined;
    for (const backend of lost) await this.backends.emptyQueue(backend, 'back');
    await this.backends.drainAndCut(wanted);
    this.#versions.leave(moved);
  }

  /** False where the pool has no backend left for a version. */
  #assign(): boolean {
    this.#ownedVersions = undefined;
    return this.#versions.assign(this.#table);
  }

  #endpointsOwned(): ReadonlySet<string> {
    const names = this.#table.routers.map(({ name }) => name);
    if (names.join() !== this.#owners.names.join()) this.#owners = new Owners(names);
    const mine = (owner: string | undefined) => owner === undefined || owner === this.#settings.name;
    return new Set(this.#table.endpoints.flatMap(({ name }) => (mine(this.#owners.of(name)) ? [name] : [])));
  }

  /** Backends of endpoints that another router has become the owner of. */
  #endpointsLost(owned: ReadonlySet<string>): string[] {
    const there = new Set(this.#table.endpoints.map(({ name }) => name));
    const isLost = (name: string) => there.has(name) && !owned.has(name) && this.#owned.has(name);
    return this.#versions.all.flatMap(({ endpoint, backend }) => (isLost(endpoint) ? [backend] : []));
  }

  #wantedServers(): ServersByBackend {
    const wanted = new Map(this.#versions.servers(this.#table));
    for (const router of this.#table.routers) {
      const backend = this.#peers.backendOf(router.name);
      if (backend === undefined) continue;
      wanted.set(backend, [peerServer(router, false)]);
      wanted.set(grpcPeer(backend), [peerServer(router, true)]);
    }
    return wanted;
  }

  async #applyMaps(): Promise<void> {
    const table = this.#tableInForce();
    const { hop: hopSecrets, challenges } = this.#secrets;
    const facts = {
      backendOf: (endpoint: string, version: string) => this.#versions.find(endpoint, version) ?? '',
      ownerField: (endpoint: string) => this.#peers.backendOf(this.#owners.of(endpoint) ?? '') ?? '-',
    };
    await this.#maps.change(table.endpoints, facts, { hopSecrets, challenges }, (commands) =>
      this.#api.change(commands),
    );
    this.#settings.inForce?.(table);
  }

  /** Without the versions whose places are all taken: their requests wait as for a first replica. */
  #tableInForce(): RoutingTable {
    if (this.#full.size === 0) return this.#table;
    const isFull = (endpoint: RoutedEndpoint, { name }: RoutedVersion) =>
      this.#full.has(this.#versions.find(endpoint.name, name) ?? '');
    const endpoints = this.#table.endpoints.map((endpoint) =>
      endpoint.versions.some((version) => isFull(endpoint, version))
        ? {
            ...endpoint,
            versions: endpoint.versions.map((version) =>
              isFull(endpoint, version)
                ? { ...version, replicas: [], coldStartMs: Math.max(1, version.maxQueueWaitMs) }
                : version,
            ),
          }
        : endpoint,
    );
    return { ...this.#table, endpoints };
  }

  /**
   * A larger pool. What waits in the old worker, and what comes to it still, waits at a gate until the new one is there; what is at replicas
   * keeps its places there until it is answered: no replica ever gets more than its limit.
   */
  async #reload(): Promise<void> {
    this.#versions.grow(this.#table);
    const gates = await Promise.all(
      [SOCKETS.self, SOCKETS.elsewhere].map((socket) => Gate.shut(join(this.#settings.folder, socket))),
    );
    try {
      await this.backends.setStates('ready', 'drain');
      await this.#certificates.write(this.#secrets.certificates);
      const busy = await this.#busyEverywhere();
      this.#full = this.backends.full(busy);
      this.#settings.inForce?.(this.#tableInForce());
      await this.#writeConfiguration(busy);
      await this.#process.reload();
    } catch (error) {
      this.#full = new Set();
      this.#settings.inForce?.(this.#tableInForce());
      await this.backends.setStates('maint', 'ready');
      throw error;
    } finally {
      await Promise.all(gates.map((gate) => gate.open()));
    }
    this.#assign();
    void this.#giveSlots().catch((error: unknown) => this.#settings.log(String(error)));
  }

  /** Requests that are at replicas, those of workers that are ending included, by the replicas' paths. */
  async #busyEverywhere(): Promise<ReadonlyMap<string, number>> {
    return sumOf([await this.backends.busy(), await this.#busyInOldWorkers()]);
  }

  async #busyInOldWorkers(): Promise<ReadonlyMap<string, number>> {
    const answers = await this.#process.askOldWorkers(['show servers conn']);
    return sumOf(answers.map(([text = '']) => usedConnections(text)));
  }

  /** As requests of the old workers end, their places are for the new one's. */
  async #giveSlots(): Promise<void> {
    let before: ReadonlyMap<string, number> = this.backends
      .paths(() => true)
      .reduce((map, [path]) => map.set(path, Number.NaN), new Map<string, number>());
    while (before.size > 0) {
      const old = await this.#busyInOldWorkers();
      const taken = new Map([...before.keys()].map((path) => [path, old.get(path) ?? 0]));
      const changed = this.backends.paths((path) => taken.has(path) && taken.get(path) !== before.get(path));
      await this.#inTurn(async () => {
        await this.#api.change(changed.flatMap(([path, server]) => slotCommands(path, server, taken.get(path) ?? 0)));
        const full = this.backends.full(taken);
        if (full.size === this.#full.size) return;
        this.#full = full;
        await this.#applyMaps();
      });
      before = new Map([...taken].filter(([, count]) => count > 0));
      if (before.size > 0) await sleep(POLL_MS);
    }
  }

  async #writeConfiguration(busy: ReadonlyMap<string, number>): Promise<void> {
    const { folder } = this.#settings;
    const servers = this.backends.lines(busy);
    this.#toldParts = LOG_PARTS;
    await this.#write(
      'haproxy.cfg',
      haproxyConfig({ ...this.#listening(), classes: this.#versions.classes, peers: MOST_PEERS, servers }),
    );
    this.#maps.close(this.#full);
    const maps = this.#maps.all();
    for (const name of MAPS) {
      const text = mapText(maps.get(name) ?? new Map());
      await this.#write(mapPath(folder, name).slice(folder.length + 1), text);
    }
  }

  /** Without a certificate HAProxy cannot listen for TLS. */
  #listening() {
    const { tlsPort, ...settings } = this.#settings;
    if (tlsPort === undefined || !this.#certificates.any) return settings;
    return { ...settings, tls: { port: tlsPort, redirects: this.#redirects } };
  }

  async #write(name: string, text: string): Promise<void> {
    const path = join(this.#settings.folder, name);
    await writeFile(`${path}.new`, text, { mode: 0o600 });
    await rename(`${path}.new`, path);
  }
}

function sumOf(all: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const counts of all) for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
  return sums;
}
