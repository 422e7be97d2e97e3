import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Certificates } from './certificates.ts';
import { Gate } from './gate.ts';
import {
  addCommands,
  canQueue,
  isTwin,
  mapCommands,
  mapText,
  peerServer,
  queueIn,
  serverLine,
  slotCommands,
  usedConnections,
  withoutPlaces,
} from './haproxy-commands.ts';
import { haproxyConfig, MAPS, mapPath, peerNames, REFUSALS, SOCKETS } from './haproxy-config.ts';
import { HaproxyProcess } from './haproxy-process.ts';
import { LUA } from './lua.ts';
import { ownerOf } from './owners.ts';
import { type Need, needOf, Pool, roomFor } from './pool.ts';
import { type MapEntries, routeMaps } from './route-maps.ts';
import { type Server, serverName, serversOf } from './router-servers.ts';
import { type RouterSettings as AdministratorSettings, DEFAULT_ROUTER_SETTINGS } from './router-settings.ts';
import type { RoutedVersion, RoutingTable } from './routing-table.ts';
import { RuntimeApi } from './runtime-api.ts';
import type { RouterSecrets } from './table-facts.ts';

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

const NOBODY: RouterSecrets = { hop: [], challenges: new Map(), certificates: [] };
const EMPTY: RoutingTable = { endpoints: [], routers: [] };
/** HAProxy has backends for so many other routers. */
const MOST_PEERS = 32;
const POLL_MS = 10;
const REMOVAL_MS = 2000;
const RESTART_MS = 500;
const LATER_MS = 1000;

/** What is in force in HAProxy. */
interface Present {
  readonly maps: MapEntries;
  /** Endpoints that this router owns. */
  readonly owned: ReadonlySet<string>;
  /** Of each backend, by their names. */
  readonly servers: Map<string, Map<string, Server>>;
}

/**
 * Makes HAProxy do what a {@link RoutingTable} says, at run time: replicas, weights, keys and new endpoints take effect within milliseconds and
 * without a reload. A pool that is used up, and a queue time that no backend of it has, cost one.
 */
export class Router {
  readonly #settings: RouterSettings;
  readonly #process: HaproxyProcess;
  readonly #api: RuntimeApi;
  readonly #pool = new Pool();
  #present: Present = { maps: new Map(), owned: new Set(), servers: new Map() };
  readonly #peers = new Map<string, string>();
  /** Servers of peers that are to go as soon as nothing is under way to them. */
  readonly #lingering = new Set<string>();
  /** Backends that nothing new goes to, until they are empty. */
  readonly #leaving = new Map<string, Need>();
  #table: RoutingTable = EMPTY;
  #secrets: RouterSecrets = NOBODY;
  /** Whether plain HTTP is redirected, once there is a certificate. */
  #redirects = !DEFAULT_ROUTER_SETTINGS.allowInsecureConnections;
  readonly #certificates: Certificates;
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
    this.#api = new RuntimeApi(join(settings.folder, SOCKETS.admin));
  }

  get api(): RuntimeApi {
    return this.#api;
  }

  get name(): string {
    return this.#settings.name;
  }

  /** By their backends: the versions of endpoints whose requests wait in this router. */
  ownedVersions(): ReadonlyMap<string, { readonly endpoint: string; readonly version: string }> {
    const owned = this.#present.owned;
    const versions = this.#pool.versions.map((key) => {
      const [endpoint = '', version = ''] = key.split('/');
      return [this.#pool.find(key) ?? '', { endpoint, version }] as const;
    });
    return new Map(versions.filter(([, { endpoint }]) => owned.has(endpoint)));
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

  /** Requests that wait, by backends. @throws AksmlError `router.haproxyUnreachable` */
  async queuedIn(backends: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const answers = await this.#api.run(backends.map((backend) => `show stat ${backend} 2 -1`));
    return new Map(backends.map((backend, index) => [backend, queueIn(answers[index] ?? '')]));
  }

  /** How many requests its ready replicas take at once. */
  capacityOf(backend: string): number {
    const servers = [...(this.#present.servers.get(backend)?.values() ?? [])];
    return servers.reduce((sum, { state, maxConcurrent }) => sum + (state === 'ready' ? maxConcurrent : 0), 0);
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
    await this.#inTurn(() => this.#apply(!allowInsecureConnections));
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

  /** Requests that are at replicas, by the replicas' names in HAProxy. */
  async busy(): Promise<ReadonlyMap<string, number>> {
    const [text = ''] = await this.#api.run(['show servers conn']);
    return usedConnections(text);
  }

  async drained(replicas: readonly string[]): Promise<void> {
    const names = replicas.map(serverName);
    for (;;) {
      const busy = await this.busy();
      const left = [...busy].some(([path, used]) => used > 0 && names.some((name) => path.endsWith(`/${name}`)));
      if (!left) return;
      await sleep(POLL_MS);
    }
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
    this.#pool.grow(roomFor(this.#needs(), this.#pool.classes));
    await this.#certificates.write(this.#secrets.certificates);
    this.#lingering.clear();
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

  #needs(): Need[] {
    return this.#table.endpoints.flatMap(({ versions }) => versions.map(needOf));
  }

  async #apply(redirects: boolean): Promise<void> {
    const { certificates } = this.#secrets;
    const isOtherwise = redirects !== this.#redirects || this.#certificates.needReload(certificates);
    this.#redirects = redirects;
    const lost = this.#endpointsLost();
    const moved = this.#releaseMoved();
    if (!this.#assign() || isOtherwise) await this.#reload();
    else await this.#certificates.change(certificates, this.#api);
    this.#assignPeers();
    const wanted = this.#wantedServers();
    await this.#add(wanted);
    await this.#applyMaps();
    this.#present = { ...this.#present, owned: this.#owned() };
    for (const backend of lost) await this.#emptyQueue(backend, true);
    await this.#drainAndCut(wanted);
    for (const { backend, need } of moved) this.#leaving.set(backend, need);
    void this.#clearLeaving().catch((error: unknown) => this.#settings.log(String(error)));
  }

  /** Gives each version a backend. False where the pool has none left. */
  #assign(): boolean {
    return this.#versions().every(([key, version]) => this.#pool.assign(key, needOf(version)) !== undefined);
  }

  #versions(): (readonly [string, RoutedVersion])[] {
    return this.#table.endpoints.flatMap((endpoint) =>
      endpoint.versions.map((version) => [`${endpoint.name}/${version.name}`, version] as const),
    );
  }

  /** Takes the backends of versions that are gone, or need another one. */
  #releaseMoved(): { readonly backend: string; readonly need: Need }[] {
    const wanted = new Map(this.#versions().map(([key, version]) => [key, needOf(version)] as const));
    return this.#pool.versions.flatMap((key) => {
      const need = wanted.get(key);
      return need && this.#pool.fits(key, need) ? [] : (this.#pool.release(key) ?? []);
    });
  }

  #owned(): ReadonlySet<string> {
    const routers = this.#table.routers.map(({ name }) => name);
    const owned = this.#table.endpoints.filter(({ name }) => {
      const owner = ownerOf(name, routers);
      return owner === undefined || owner === this.#settings.name;
    });
    return new Set(owned.map(({ name }) => name));
  }

  /** Backends of endpoints that another router has become the owner of. */
  #endpointsLost(): string[] {
    const owned = this.#owned();
    const there = new Set(this.#table.endpoints.map(({ name }) => name));
    return this.#pool.versions.flatMap((key) => {
      const [endpoint = ''] = key.split('/');
      const lost = there.has(endpoint) && !owned.has(endpoint) && this.#present.owned.has(endpoint);
      return lost ? (this.#pool.find(key) ?? []) : [];
    });
  }

  #assignPeers(): void {
    const others = this.#table.routers.map(({ name }) => name).filter((name) => name !== this.#settings.name);
    for (const name of this.#peers.keys()) if (!others.includes(name)) this.#peers.delete(name);
    const taken = new Set(this.#peers.values());
    const free = peerNames(MOST_PEERS).filter((backend) => !taken.has(backend));
    for (const name of others) {
      if (this.#peers.has(name)) continue;
      const backend = free.shift();
      if (backend !== undefined) this.#peers.set(name, backend);
    }
  }

  #wantedServers(): Map<string, readonly Server[]> {
    const wanted = new Map<string, readonly Server[]>();
    for (const [key, version] of this.#versions()) {
      const backend = this.#pool.find(key);
      if (backend === undefined) continue;
      for (const [name, servers] of serversOf(version, backend, this.#settings.folder)) wanted.set(name, servers);
    }
    for (const router of this.#table.routers) {
      const backend = this.#peers.get(router.name);
      if (backend !== undefined) wanted.set(backend, [peerServer(router)]);
    }
    return wanted;
  }

  async #applyMaps(): Promise<void> {
    const maps = this.#wantedMaps();
    await this.#api.change(mapCommands(this.#settings.folder, this.#present.maps, maps));
    this.#present = { ...this.#present, maps };
    this.#settings.inForce?.(this.#tableInForce());
  }

  /** Without the versions whose places are all taken: their requests wait as for a first replica. */
  #tableInForce(): RoutingTable {
    if (this.#full.size === 0) return this.#table;
    const endpoints = this.#table.endpoints.map((endpoint) => ({
      ...endpoint,
      versions: endpoint.versions.map((version) =>
        this.#full.has(this.#pool.find(`${endpoint.name}/${version.name}`) ?? '')
          ? { ...version, replicas: [], coldStartMs: Math.max(1, version.maxQueueWaitMs) }
          : version,
      ),
    }));
    return { ...this.#table, endpoints };
  }

  #wantedMaps(): MapEntries {
    return routeMaps(this.#tableInForce(), {
      self: this.#settings.name,
      backendOf: (endpoint, version) => this.#pool.find(`${endpoint}/${version}`) ?? '',
      peers: this.#peers,
      hopSecrets: this.#secrets.hop,
      challenges: this.#secrets.challenges,
    });
  }

  /** Replicas that are new, or ready again. A held backend's twin must have them first. */
  async #add(wanted: ReadonlyMap<string, readonly Server[]>): Promise<void> {
    const commands: string[] = [];
    for (const [backend, servers] of [...wanted].reverse()) {
      const present = this.#serversIn(backend);
      for (const server of servers) {
        const before = present.get(server.name);
        if (before?.line === server.line && before.state === server.state) continue;
        const path = `${backend}/${server.name}`;
        if (this.#lingering.delete(path)) commands.push(`set server ${path} state ready`);
        else if (before === undefined) commands.push(...addCommands(path, server));
        else if (before.maxConcurrent !== server.maxConcurrent)
          commands.push(`set maxconn server ${path} ${server.maxConcurrent}`);
        if (before?.state === 'draining' && server.state === 'ready') commands.push(`set server ${path} state ready`);
        if (before === undefined || server.state === 'ready') present.set(server.name, server);
      }
    }
    await this.#api.change(commands);
  }

  /** Replicas that get nothing new, and those that are cut. Who waits for the last of a version leaves its queue. */
  async #drainAndCut(wanted: ReadonlyMap<string, readonly Server[]>): Promise<void> {
    for (const [backend, present] of this.#present.servers) {
      const next = new Map((wanted.get(backend) ?? []).map((server) => [server.name, server]));
      const hadReady = [...present.values()].some(({ state }) => state === 'ready');
      const hasReady = [...next.values()].some(({ state }) => state === 'ready');
      if (hadReady && !hasReady && canQueue(backend)) await this.#emptyQueue(backend, false);
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
      for (const name of cut) {
        if (isTwin(backend)) await this.#remove(backend, name);
        else this.#removeLater(backend, name).catch((error: unknown) => this.#settings.log(String(error)));
      }
    }
  }

  async #remove(backend: string, name: string): Promise<void> {
    this.#present.servers.get(backend)?.delete(name);
    const path = `${backend}/${name}`;
    const [, answer = ''] = await this.#api.run([`wait ${REMOVAL_MS} srv-removable ${path}`, `del server ${path}`]);
    if (!/^Server deleted/.test(answer)) this.#settings.log(`a server stays in ${backend}: ${answer}`);
  }

  /** Once nothing is under way to it. */
  async #removeLater(backend: string, name: string): Promise<void> {
    const path = `${backend}/${name}`;
    this.#present.servers.get(backend)?.delete(name);
    this.#lingering.add(path);
    while (!this.#stopping && this.#lingering.has(path)) {
      await sleep(LATER_MS, undefined, { ref: false });
      await this.#inTurn(async () => {
        if (!this.#lingering.has(path)) return;
        const [answer = ''] = await this.#api.run([`del server ${path}`]);
        if (/deleted|No such server/.test(answer)) this.#lingering.delete(path);
      });
    }
  }

  /**
   * Those in the queue of a backend are sent on to wherever their endpoint's requests go now. `back`: its servers take requests again
   * afterwards, for routers that take this one for the owner a moment longer.
   */
  async #emptyQueue(backend: string, back: boolean): Promise<void> {
    const ready = [...(this.#serversIn(backend).values() ?? [])].filter(({ state }) => state === 'ready');
    const each = (state: string) => ready.map(({ name }) => `set server ${backend}/${name} state ${state}`);
    await this.#api.change([`set server ${backend}/elsewhere state ready`, ...each('drain')]);
    while (((await this.queuedIn([backend])).get(backend) ?? 0) > 0) await sleep(POLL_MS);
    await this.#api.change([...(back ? each('ready') : []), `set server ${backend}/elsewhere state maint`]);
  }

  #serversIn(backend: string): Map<string, Server> {
    const known = this.#present.servers.get(backend);
    if (known) return known;
    const fresh = new Map<string, Server>();
    this.#present.servers.set(backend, fresh);
    return fresh;
  }

  /** Backends whose version has gone are given to others once nothing is in them. */
  async #clearLeaving(): Promise<void> {
    for (const [backend, need] of this.#leaving) {
      if (this.#serversIn(backend).size > 0) continue;
      this.#leaving.delete(backend);
      this.#pool.restore(backend, need);
    }
  }

  /**
   * A larger pool. What waits in the old worker, and what comes to it still, waits at a gate until the new one is there; what is at replicas
   * keeps its places there until it is answered: no replica ever gets more than its limit.
   */
  async #reload(): Promise<void> {
    this.#pool.grow(roomFor(this.#needs(), this.#pool.classes));
    const gate = await Gate.shut(join(this.#settings.folder, SOCKETS.self));
    try {
      await this.#api.change(this.#stateCommands('ready', 'drain'));
      await this.#certificates.write(this.#secrets.certificates);
      const busy = await this.busy();
      this.#full = this.#fullBackends(busy);
      this.#settings.inForce?.(this.#tableInForce());
      await this.#writeConfiguration(busy);
      await this.#process.reload();
    } catch (error) {
      this.#full = new Set();
      this.#settings.inForce?.(this.#tableInForce());
      await this.#api.change(this.#stateCommands('maint', 'ready'));
      throw error;
    } finally {
      await gate.open();
    }
    this.#lingering.clear();
    this.#assign();
    void this.#giveSlots().catch((error: unknown) => this.#settings.log(String(error)));
  }

  #fullBackends(busy: ReadonlyMap<string, number>): ReadonlySet<string> {
    const full = [...this.#present.servers].filter(([backend, servers]) => {
      const ready = [...servers.values()].filter(({ state }) => state === 'ready');
      const taken = ({ name, maxConcurrent }: Server) => (busy.get(`${backend}/${name}`) ?? 0) >= maxConcurrent;
      return canQueue(backend) && ready.length > 0 && ready.every(taken);
    });
    return new Set(full.map(([backend]) => backend));
  }

  /** For every backend that has ready replicas: the states of the way out, and of those replicas. */
  #stateCommands(elsewhere: string, replicas: string): string[] {
    return [...this.#present.servers].flatMap(([backend, servers]) => {
      const ready = [...servers.values()].filter(({ state }) => state === 'ready');
      if (!canQueue(backend) || ready.length === 0) return [];
      return [
        `set server ${backend}/elsewhere state ${elsewhere}`,
        ...ready.map(({ name }) => `set server ${backend}/${name} state ${replicas}`),
      ];
    });
  }

  /** As requests of the old workers end, their places are for the new one's. */
  async #giveSlots(): Promise<void> {
    let before: ReadonlyMap<string, number> = this.#servers(() => true).reduce(
      (map, [path]) => map.set(path, Number.NaN),
      new Map<string, number>(),
    );
    while (before.size > 0) {
      const old = (await this.#process.askOldWorkers(['show servers conn'])).map(([text = '']) =>
        usedConnections(text),
      );
      const taken = new Map(
        [...before.keys()].map((path) => [path, old.reduce((sum, used) => sum + (used.get(path) ?? 0), 0)]),
      );
      const changed = this.#servers((path) => taken.has(path) && taken.get(path) !== before.get(path));
      await this.#inTurn(async () => {
        await this.#api.change(changed.flatMap(([path, server]) => slotCommands(path, server, taken.get(path) ?? 0)));
        const full = this.#fullBackends(taken);
        if (full.size === this.#full.size) return;
        this.#full = full;
        await this.#applyMaps();
      });
      before = new Map([...taken].filter(([, count]) => count > 0));
      if (before.size > 0) await sleep(POLL_MS);
    }
  }

  /** Replicas by their paths in HAProxy. */
  #servers(which: (path: string) => boolean): (readonly [string, Server])[] {
    return [...this.#present.servers].flatMap(([backend, servers]) =>
      canQueue(backend)
        ? [...servers.values()]
            .map((server) => [`${backend}/${server.name}`, server] as const)
            .filter(([path]) => which(path))
        : [],
    );
  }

  async #writeConfiguration(busy: ReadonlyMap<string, number>): Promise<void> {
    const { folder } = this.#settings;
    const servers = new Map(
      [...this.#present.servers].map(([backend, present]) => [
        backend,
        [...present.values()].map((server) =>
          serverLine(server, canQueue(backend) ? (busy.get(`${backend}/${server.name}`) ?? 0) : 0),
        ),
      ]),
    );
    await this.#write(
      'haproxy.cfg',
      haproxyConfig({ ...this.#listening(), classes: this.#pool.classes, peers: MOST_PEERS, servers }),
    );
    this.#present = { ...this.#present, maps: withoutPlaces(this.#present.maps, this.#full) };
    for (const name of MAPS) {
      const text = mapText(this.#present.maps.get(name) ?? new Map());
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
