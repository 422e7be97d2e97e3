import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { choosePorts } from '../../scripts/cluster/addresses.ts';
import { readApi, until } from '../../scripts/cluster/api-server.ts';
import { kubeconfig, makeCertificates } from '../../scripts/cluster/certificates.ts';
import { apiServer, controllerManager, etcd, scheduler } from '../../scripts/cluster/control-plane.ts';
import type { Daemon } from '../../scripts/cluster/daemon.ts';
import { openPlace, type Place, placeAt } from '../../scripts/cluster/place.ts';
import { programsFolder } from '../../scripts/cluster/programs.ts';
import { freePort } from '../images/docker-registry.ts';

/** A Kubernetes without nodes, of one test's own: its API server may be ended, and its kinds are nobody else's. */
export interface ControlPlane {
  /** The administrator's. */
  readonly kubeconfig: string;
  /** A folder for what the test needs besides. */
  readonly folder: string;
  /** Ends the API server at once; what it stored stays. */
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  /** Ends the store, so that requests hang. */
  pauseStore(paused: boolean): void;
}

export interface ControlPlaneOptions {
  /** Also Kubernetes' own controllers, which make ReplicaSets and Pods, and the scheduler. */
  readonly controllers?: boolean;
  /** For thousands of pods on a small machine: without the controllers that nothing here waits for, and those that do work at full speed. */
  readonly crowded?: boolean;
}

const UNTHROTTLED = ['--kube-api-qps=5000', '--kube-api-burst=5000'];
/** Nothing is deleted, and nobody asks for the addresses of pods. */
const IDLE_CONTROLLERS = [
  ...['garbage-collector-controller', 'endpoints-controller', 'endpointslice-controller'],
  ...['endpointslice-mirroring-controller', 'resourcequota-controller', 'taint-eviction-controller'],
];
const CROWDED_CONTROLLERS = [
  ...UNTHROTTLED,
  `--controllers=*,${IDLE_CONTROLLERS.map((name) => `-${name}`).join(',')}`,
  ...['--concurrent-deployment-syncs=20', '--concurrent-replicaset-syncs=20'],
];

/** Why there is none here; the programs are those of the test cluster. */
export function whyNoControlPlane(): string | undefined {
  if (existsSync(programsFolder(openPlace()))) return undefined;
  return 'Kubernetes is not built here: `npm run cluster up`';
}

export async function openControlPlane(
  t: { after(work: () => Promise<void>): void },
  options: ControlPlaneOptions = {},
): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-control-plane-'));
  const { cache } = openPlace();
  const place = placeAt(folder, cache, { address: '127.0.0.1', port: await freePort() });
  const program = (name: string) => join(programsFolder(place), name);
  const running: ChildProcess[] = [];
  t.after(async () => {
    for (const child of running.reverse()) await end(child);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const start = async (daemon: Daemon): Promise<ChildProcess> => {
    const child = await startChild(place, daemon, options.crowded ? { GOGC: '400' } : {});
    running.push(child);
    return child;
  };

  const ports = await choosePorts(place);
  await makeCertificates(place);
  const store = await start(etcd(place, ports));
  let server: ChildProcess | undefined;
  // The etcd that there is cannot do what such watches need: kwok, which insists on them, would go on from one full listing to the next.
  const gates = options.controllers ? ['--feature-gates=WatchList=false'] : [];
  const startApiServer = async (): Promise<void> => {
    const daemon = apiServer(place, ports, program('kube-apiserver'));
    const child = await start({ ...daemon, args: [...daemon.args, ...gates] });
    server = child;
    await until('the API server is ready', async () => {
      if (child.exitCode !== null) throw new Error(await readFile(logOf(place, 'kube-apiserver'), 'utf8'));
      return (await readApi(place, '/readyz')) !== undefined;
    });
  };
  await startApiServer();
  if (options.controllers) {
    const daemon = controllerManager(place, ports, program('kube-controller-manager'));
    // Nodes are played here: on a busy machine late signs of life would make all their pods unready.
    const crowded = options.crowded ? CROWDED_CONTROLLERS : [];
    await start({ ...daemon, args: [...daemon.args, '--node-monitor-grace-period=30m', ...crowded] });
    const scheduling = scheduler(place, ports, program('kube-scheduler'));
    await start({ ...scheduling, args: [...scheduling.args, ...(options.crowded ? UNTHROTTLED : [])] });
    await until('pods may be made', async () => {
      return (await readApi(place, '/api/v1/namespaces/default/serviceaccounts/default')) !== undefined;
    });
  }
  return {
    kubeconfig: kubeconfig(place, 'admin'),
    folder,
    startApiServer,
    stopApiServer: async () => {
      if (server !== undefined) await end(server);
    },
    pauseStore: (paused) => void store.kill(paused ? 'SIGSTOP' : 'SIGCONT'),
  };
}

function logOf(place: Place, name: string): string {
  return place.path('logs', `${name}.log`);
}

/** Ends with this process, however that ends. */
async function startChild(
  place: Place,
  { name, command, args }: Daemon,
  variables: NodeJS.ProcessEnv,
): Promise<ChildProcess> {
  await mkdir(place.path('logs'), { recursive: true });
  const log = await open(logOf(place, name), 'a');
  try {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      cwd: place.root,
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, ...variables },
    });
    await once(child, 'spawn');
    return child;
  } finally {
    await log.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
