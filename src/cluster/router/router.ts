import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Certificates } from './certificates.ts';
import { Gate } from './gate.ts';
import { haproxyConfig, MAPS, mapPath, peerNames, REFUSALS, SOCKETS } from './haproxy-config.ts';
import { HaproxyProcess } from './haproxy-process.ts';
import { LUA } from './lua.ts';
import { ownerOf } from './owners.ts';
import { type Need, needOf, Pool, roomFor } from './pool.ts';
import { type MapEntries, routeMaps } from './route-maps.ts';
import { type Server, serverName, serversOf } from './router-servers.ts';
import { type RouterSettings as AdministratorSettings, DEFAULT_ROUTER_SETTINGS } from './router-settings.ts';
import type { RoutedVersion, RouterPeer, RoutingTable } from './routing-table.ts';
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
}

const NOBODY: RouterSecrets = { hop: [], challenges: new Map(), certificates: [] };
const EMPTY: RoutingTable = { endpoints: [], routers: [] };
/** HAProxy has backends for so many other routers. */
const MOST_PEERS = 32;
const POLL_MS = 10;
const REMOVAL_MS = 2000;
const RESTART_MS = 500;

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
  /** Backends that nothing new goes to, until they are empty. */
  readonly #leaving = new Map<string, Need>();
  #table: RoutingTable = EMPTY;
  #secrets: RouterSecrets = NOBODY;
  /** Whether plain HTTP is redirected, once there is a certificate. */
  #redirects = !DEFAULT_ROUTER_SETTINGS.allowInsecureConnections;
  readonly #certificates: Certificates;
  #started = false;
  #stopping = false;
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
    const maps = this.#wantedMaps();
    await this.#api.change(mapCommands(this.#settings.folder, this.#present.maps, maps));
    this.#present = { ...this.#present, maps, owned: this.#owned() };
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

  #wantedMaps(): MapEntries {
    return routeMaps(this.#table, {
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
        if (before === undefined) commands.push(...addCommands(path, server));
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
          commands.push(`set server ${path} state maint`, `shutdown sessions server ${path}`);
          cut.push(name);
        } else if (then.state === 'draining' && server.state === 'ready') {
          if (hasReady) commands.push(`set server ${path} state drain`);
          present.set(name, then);
        }
      }
      await this.#api.change(commands);
      for (const name of cut) await this.#remove(backend, name);
    }
  }

  async #remove(backend: string, name: string): Promise<void> {
    const path = `${backend}/${name}`;
    const [, answer = ''] = await this.#api.run([`wait ${REMOVAL_MS} srv-removable ${path}`, `del server ${path}`]);
    if (!/^Server deleted/.test(answer)) this.#settings.log(`a server stays in ${backend}: ${answer}`);
    this.#present.servers.get(backend)?.delete(name);
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
      await this.#writeConfiguration(await this.busy());
      await this.#process.reload();
    } catch (error) {
      await this.#api.change(this.#stateCommands('maint', 'ready'));
      throw error;
    } finally {
      await gate.open();
    }
    this.#assign();
    void this.#giveSlots().catch((error: unknown) => this.#settings.log(String(error)));
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
    const taken = new Map<string, number>();
    do {
      const old = (await this.#process.askOldWorkers(['show servers conn'])).map(([text = '']) =>
        usedConnections(text),
      );
      const commands: string[] = [];
      for (const [backend, servers] of this.#present.servers) {
        if (!canQueue(backend)) continue;
        for (const server of servers.values()) {
          const path = `${backend}/${server.name}`;
          const used = old.reduce((sum, counts) => sum + (counts.get(path) ?? 0), 0);
          if (taken.get(path) === used || (used === 0 && !taken.has(path) && old.length > 0)) continue;
          commands.push(...slotCommands(path, server, used));
          if (used > 0) taken.set(path, used);
          else taken.delete(path);
        }
      }
      await this.#api.change(commands);
      if (taken.size > 0) await sleep(POLL_MS);
    } while (taken.size > 0);
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

/** Peers' backends and twins have no queue of their own. */
function canQueue(backend: string): boolean {
  return backend.startsWith('b') || backend.startsWith('h');
}

function addCommands(path: string, server: Server): string[] {
  const state = server.state === 'ready' ? [`enable server ${path}`] : [];
  const health = server.line.includes(' check ') ? [`enable health ${path}`] : [];
  return [`add server ${path} ${server.line}`, ...state, ...health];
}

/** In the configuration, with so many of its places taken by what the old worker has. */
function serverLine({ name, line, maxConcurrent, state }: Server, taken: number): string {
  const left = maxConcurrent - taken;
  if (state === 'draining' || left <= 0) return `server ${name} ${line} disabled`;
  return `server ${name} ${line.replace(/ maxconn \d+/, ` maxconn ${left}`)}`;
}

function slotCommands(path: string, { maxConcurrent, state }: Server, taken: number): string[] {
  if (state === 'draining') return [];
  const left = maxConcurrent - taken;
  if (left <= 0) return [`set server ${path} state maint`];
  return [`set maxconn server ${path} ${left}`, `set server ${path} state ready`];
}

function peerServer({ address, hopPort }: RouterPeer): Server {
  const host = address.includes(':') ? `[${address}]` : address;
  const checked = 'check inter 1s fastinter 100ms downinter 300ms rise 1 fall 1';
  const observed = 'observe layer4 error-limit 1 on-error mark-down';
  return { name: 'peer', line: `${host}:${hopPort} ${checked} ${observed}`, maxConcurrent: 0, state: 'ready' };
}

/** `show servers conn`: connections in use, by `backend/server`. */
function usedConnections(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [path = '', , , , , , used = '0'] = line.split(' ');
        return [path, Number(used)];
      }),
  );
}

/** Of the line about a backend that `show stat` ends with. */
function queueIn(text: string): number {
  return Number(text.split('\n').at(-1)?.split(',')[2] ?? 0);
}

function mapText(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([key, value]) => `${key} ${value}\n`).join('');
}

/** What makes the maps in force say what they shall. */
function mapCommands(folder: string, present: MapEntries, wanted: MapEntries): string[] {
  return MAPS.flatMap((name) => {
    const path = mapPath(folder, name);
    const before = present.get(name) ?? new Map<string, string>();
    const after = wanted.get(name) ?? new Map<string, string>();
    return [
      ...[...after].flatMap(([key, value]) => {
        const old = before.get(key);
        if (old === value) return [];
        return [`${old === undefined ? 'add' : 'set'} map ${path} ${key} ${value}`];
      }),
      ...[...before.keys()].filter((key) => !after.has(key)).map((key) => `del map ${path} ${key}`),
    ];
  });
}
