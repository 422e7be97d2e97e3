import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Bundle } from '../../src/contract/bundle.ts';
import type { EndpointSecrets } from '../../src/contract/compute-target.ts';
import {
  ENDPOINT_API_VERSION,
  type Endpoint,
  type EndpointSpec,
  type VersionSpec,
} from '../../src/contract/endpoint.ts';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { type Home, openHome } from '../../src/home/home.ts';
import { type LocalTarget, openLocalTarget } from '../../src/local/client.ts';
import { exists, processesMarked } from '../../src/local/process-identity.ts';
import { prepareShared, SCORING_SERVER_ONLY } from './shared-home.ts';

const SUPERVISOR = fileURLToPath(new URL('../../src/local/supervisor-main.ts', import.meta.url));

/** A home of a test's own whose supervisor, gateway and replicas are real. */
export interface SupervisorWorld {
  readonly home: Home;
  readonly target: LocalTarget;
  readonly python: string;
  /** Another command of the same home. */
  newTarget(): LocalTarget;
  /** Lays down what replicas run from. */
  bundle(script: string, changes?: Partial<Bundle>): Promise<string>;
  /** Creates the service, or changes its version. */
  apply(
    name: string,
    version: Partial<VersionSpec>,
    spec?: Partial<EndpointSpec>,
    secrets?: EndpointSecrets,
  ): Promise<Endpoint>;
  /** The first state of the endpoint that fits. */
  until(name: string, fits: (endpoint: Endpoint) => boolean): Promise<Endpoint>;
  /** Bundles, applies, and waits for Healthy. */
  deploy(name: string, script: string, version?: Partial<VersionSpec>, spec?: Partial<EndpointSpec>): Promise<Endpoint>;
  score(endpoint: Endpoint, body?: string, headers?: Record<string, string>): Promise<{ status: number; body: string }>;
  supervisorPid(): Promise<number>;
  gatewayPid(): Promise<number>;
}

export async function openSupervisorWorld(t: TestContext, variables: NodeJS.ProcessEnv = {}): Promise<SupervisorWorld> {
  const { python } = await prepareShared(SCORING_SERVER_ONLY);
  assert.ok(python);
  const root = await mkdtemp(join(tmpdir(), 'aksml-supervisor-'));
  const home = openHome({ AKSML_HOME: root });
  const newTarget = () =>
    openLocalTarget({
      home,
      environment: { ...process.env, ...variables },
      command: [process.execPath, SUPERVISOR],
      clock: () => new Date(),
    });
  const target = newTarget();
  t.after(async () => {
    if (process.env['AKSML_TEST_LOGS']) await printLogs(home);
    await target.stop();
    await eventually('the end of every process', async () => (await leftovers(home)).length === 0);
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  });

  const world: SupervisorWorld = {
    home,
    target,
    python,
    newTarget,
    bundle: (script, changes = {}) => writeBundle(home, python, script, changes),
    async apply(name, version, spec = {}, secrets) {
      const present = await target.getEndpoint(name).catch(() => undefined);
      return target.applyEndpoint(endpointOf(name, version, spec, present), secrets);
    },
    async until(name, fits) {
      const found = new AbortController();
      try {
        for await (const change of target.watchEndpoints({ name }, found.signal)) {
          if ((change.type === 'present' || change.type === 'changed') && fits(change.endpoint)) return change.endpoint;
        }
      } finally {
        found.abort();
      }
      throw new Error('unreachable');
    },
    async deploy(name, script, version = {}, spec = {}) {
      const workers = version.maxConcurrentRequestsPerContainer ?? 1;
      const image = await world.bundle(script, { workers });
      const applied = await world.apply(name, { ...version, image }, spec);
      return world.until(
        name,
        ({ status }) =>
          status?.observedGeneration === applied.metadata.generation &&
          status?.state === 'Healthy' &&
          status.versions.every((one) => one.name !== (version.name ?? name) || one.servingImage === image),
      );
    },
    score: async (endpoint, body = '{}', headers = {}) => {
      const keys = endpoint.spec.auth === 'key' ? await target.getKeys(endpoint.metadata.name) : undefined;
      const all = { ...(keys && { authorization: `Bearer ${keys.primaryKey}` }), ...headers };
      return post(endpoint.status?.scoringUri ?? '', body, all);
    },
    supervisorPid: async () => pidIn(join(home.local, 'supervisor.json')),
    gatewayPid: async () => pidIn(join(home.local, 'gateway.json')),
  };
  return world;
}

/** Answers with a text that tells scripts apart. */
export function scriptAnswering(answer: string, init = 'pass', run = 'pass'): string {
  const indent = (code: string) => code.replaceAll('\n', '\n    ');
  return `import json, os, sys, time\n\ndef init():\n    ${indent(init)}\n\ndef run(data):\n    ${indent(run)}\n    return ${JSON.stringify(answer)}\n`;
}

async function writeBundle(home: Home, python: string, script: string, changes: Partial<Bundle>): Promise<string> {
  const hex = createHash('sha256')
    .update(JSON.stringify([script, changes]))
    .digest('hex');
  const folder = join(home.bundles, hex);
  const appRoot = join(folder, 'app');
  await mkdir(appRoot, { recursive: true });
  await writeFile(join(appRoot, 'score.py'), script);
  const bundle: Bundle = {
    image: `sha256:${hex}`,
    appRoot,
    python,
    environmentVariables: { AZUREML_ENTRY_SCRIPT: 'score.py' },
    workers: 1,
    scoringTimeoutMs: 60_000,
    ...changes,
  };
  await writeFileAtomic(join(folder, 'bundle.json'), JSON.stringify(bundle));
  return bundle.image;
}

function endpointOf(
  name: string,
  change: Partial<VersionSpec>,
  spec: Partial<EndpointSpec>,
  present: Endpoint | undefined,
): Endpoint {
  const wanted = change.name ?? name;
  const before = present?.spec.versions ?? [];
  const old = before.find((version) => version.name === wanted);
  const revision = `sha256:${createHash('sha256').update(randomUUID()).digest('hex')}`;
  const version: VersionSpec = {
    ...(old ?? NEW_VERSION),
    name: wanted,
    isDefault: before.length === 0 || old?.isDefault === true,
    revision,
    ...change,
  };
  const others = before.filter((other) => other.name !== wanted);
  return {
    apiVersion: ENDPOINT_API_VERSION,
    kind: 'Endpoint',
    metadata: { name, ...(present ? { resourceVersion: present.metadata.resourceVersion } : {}) },
    spec: { ...(present?.spec ?? NEW_SPEC), versions: [...others, version], ...spec },
  };
}

const NEW_SPEC: EndpointSpec = {
  form: 'service',
  computeType: 'aks',
  tags: {},
  properties: {},
  auth: 'key',
  appInsightsEnabled: false,
  corsAllowedOrigins: [],
  versions: [],
};

const NEW_VERSION: VersionSpec = {
  name: 'v',
  isDefault: true,
  tags: {},
  properties: {},
  revision: '',
  image: '',
  revisionNumber: 1,
  models: [],
  environment: { hash: 'none' },
  resources: { cpu: 0.1, memoryInGB: 0.5, gpu: 0 },
  scale: { kind: 'fixed', replicas: 1 },
  maxConcurrentRequestsPerContainer: 1,
  maxQueueWaitMs: 5000,
  scoringTimeoutMs: 60_000,
  livenessProbe: {
    periodSeconds: 10,
    initialDelaySeconds: 310,
    timeoutSeconds: 2,
    successThreshold: 1,
    failureThreshold: 3,
  },
  dataCollection: false,
  createdTime: '2026-01-01T00:00:00Z',
  updatedTime: '2026-01-01T00:00:00Z',
};

export interface Load {
  /** Every different answer so far. */
  readonly bodies: ReadonlySet<string>;
  stop(): Promise<{ sent: number; failed: string[]; bodies: ReadonlySet<string> }>;
}

/** Requests one after the other on kept connections, until told to stop; counts what was not 200. */
export function load(t: TestContext, uri: string, key: string, clients = 2): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const failed: string[] = [];
  const bodies = new Set<string>();
  let sent = 0;
  let stopping = false;
  const client = async () => {
    while (!stopping) {
      sent += 1;
      const answer = await post(uri, '{}', { authorization: `Bearer ${key}` }, agent).catch((error: unknown) => ({
        status: 0,
        body: String(error),
      }));
      if (answer.status === 200) bodies.add(answer.body);
      else failed.push(`${answer.status} ${answer.body}`);
      await sleep(2);
    }
  };
  const running = Promise.all(Array.from({ length: clients }, client));
  t.after(() => {
    stopping = true;
  });
  return {
    bodies,
    stop: async () => {
      stopping = true;
      await running;
      agent.destroy();
      return { sent, failed, bodies };
    },
  };
}

function post(
  uri: string,
  body: string,
  headers: Record<string, string>,
  agent?: Agent,
): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  const outgoing = httpRequest(
    uri,
    { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, ...(agent ? { agent } : {}) },
    (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      response.on('error', reject);
    },
  );
  outgoing.on('error', reject);
  outgoing.end(body);
  return promise;
}

/** Waits for something that no watch tells. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 60_000,
): Promise<T> {
  for (const deadline = Date.now() + withinMs; Date.now() < deadline; await sleep(50)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error(`never happened: ${what}`);
}

export async function gone(pid: number): Promise<void> {
  await eventually(`the end of process ${pid}`, () => !exists(pid));
}

/** Every process that belongs to the home. */
export async function leftovers(home: Home): Promise<number[]> {
  const marked = await processesMarked('AKSML_HOME', home.root);
  const replicas: number[] = [];
  const root = join(home.local, 'replicas');
  for (const path of await readdir(root, { recursive: true }).catch(() => [])) {
    if (path.endsWith('replica.json'))
      replicas.push(...(await processesMarked('AKSML_REPLICA_FOLDER', join(root, path, '..'))));
  }
  return [...new Set([...marked, ...replicas])].filter((pid) => pid !== process.pid);
}

async function pidIn(path: string): Promise<number> {
  return JSON.parse(await readFile(path, 'utf8')).pid;
}

async function printLogs(home: Home): Promise<void> {
  for (const path of await readdir(home.local, { recursive: true }).catch(() => [])) {
    if (!path.endsWith('.log')) continue;
    const text = await readFile(join(home.local, path), 'utf8').catch(() => '');
    if (text !== '') console.error(`--- ${path}\n${text.slice(-3000)}`);
  }
}
