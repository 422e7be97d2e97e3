import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openHome } from '../../src/home/home.ts';
import { withLock } from '../../src/home/lock.ts';
import { isOnPath } from '../packages.ts';
import { run } from './command.ts';
import type { Place } from './place.ts';

export const KUBERNETES_VERSION = '1.36.3';
const [MAJOR, MINOR] = KUBERNETES_VERSION.split('.');
const PARTS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
const VERSION = 'k8s.io/component-base/version';

/** Where Kubernetes' programs are, or will be. */
export function programsFolder(place: Place): string {
  return join(place.cache, `kubernetes-${KUBERNETES_VERSION}-${process.arch}`);
}

/**
 * Builds Kubernetes from its Go modules, which are pinned beside this file, unless that has been done: 5 to 15 minutes on two processors.
 * Whoever asks meanwhile waits for it.
 */
export async function buildKubernetes(place: Place): Promise<string> {
  const folder = programsFolder(place);
  await once(place, 'kubernetes', folder, buildInto);
  return folder;
}

/** Fills a folder of the cache unless it is there; whoever asks meanwhile waits. */
export async function once(
  place: Place,
  name: string,
  folder: string,
  make: (made: string) => Promise<void>,
): Promise<void> {
  if (existsSync(folder)) return;
  const work = async () => {
    if (existsSync(folder)) return;
    await mkdir(place.cache, { recursive: true });
    const made = await mkdtemp(`${folder}-`);
    try {
      await make(made);
      await rename(made, folder);
    } finally {
      await rm(made, { recursive: true, force: true });
    }
  };
  await withLock(openHome({ AKSML_HOME: place.cache }), name, work, { timeoutMs: 60 * 60_000 });
}

const KUBE_ROUTER_VERSION = '2.1.0';

/** Builds kube-router, unless that has been done, with the modules of Kubernetes, which are compiled then; returns the program. */
export async function buildKubeRouter(place: Place): Promise<string> {
  const folder = join(place.cache, `kube-router-${KUBE_ROUTER_VERSION}-${process.arch}`);
  await once(place, 'kube-router', folder, (made) =>
    goBuild(made, ['github.com/cloudnativelabs/kube-router/v2/cmd/kube-router']),
  );
  return join(folder, 'kube-router');
}

const PEBBLE_VERSION = '2.10.3';

/** Builds Pebble, an ACME server for tests, and the DNS server that it asks, unless that has been done; the folder of both. */
export async function buildPebble(place: Place): Promise<string> {
  const folder = join(place.cache, `pebble-${PEBBLE_VERSION}-${process.arch}`);
  await once(place, 'pebble', folder, async (made) => {
    for (const name of ['pebble', 'pebble-challtestsrv']) {
      await goInstall(made, `github.com/letsencrypt/pebble/v2/cmd/${name}@v${PEBBLE_VERSION}`);
    }
  });
  return folder;
}

/** What the linker leaves out (`-s -w`) is not made in the first place, which is a seventh of the time. Packages are shared only between equal flags. */
const NO_DEBUGGING = ['-gcflags=all=-dwarf=false'];
const STRIPPED = ['-s', '-w'];

/** Builds programs of the modules that are pinned in `kubernetes/`. */
async function goBuild(
  folder: string,
  programs: readonly string[],
  linkerFlags: readonly string[] = [],
): Promise<void> {
  const linking = ['-ldflags', [...STRIPPED, ...linkerFlags].join(' ')];
  const flags = [...NO_DEBUGGING, '-mod=readonly', '-buildvcs=false', ...linking];
  await run('nice', ['-n', '5', 'go', 'build', ...flags, '-o', `${folder}/`, ...programs], {
    cwd: join(import.meta.dirname, 'kubernetes'),
    env: { ...process.env, CGO_ENABLED: '0' },
  });
}

async function goInstall(folder: string, program: string): Promise<void> {
  const env = { ...process.env, CGO_ENABLED: '0', GOBIN: folder };
  await run('nice', ['-n', '5', 'go', 'install', ...NO_DEBUGGING, '-ldflags', STRIPPED.join(' '), program], { env });
}

const KWOK_VERSION = '0.8.0';

const KWOK_STAGES = [
  ...['node/fast/node-initialize', 'node/heartbeat-with-lease/node-heartbeat-with-lease'],
  ...['pod/fast/pod-ready', 'pod/fast/pod-complete', 'pod/fast/pod-delete'],
];

/** Builds kwok, which plays nodes and their pods, unless that has been done; the command to which a kubeconfig is added. */
export async function buildKwok(place: Place): Promise<readonly string[]> {
  const folder = join(place.cache, `kwok-${KWOK_VERSION}-${process.arch}`);
  await once(place, 'kwok', folder, async (made) => {
    const module = `sigs.k8s.io/kwok@v${KWOK_VERSION}`;
    await goInstall(made, module.replace('@', '/cmd/kwok@'));
    const { Dir } = JSON.parse(await run('go', ['mod', 'download', '-json', module]));
    const stages = KWOK_STAGES.map((name) => readFile(join(Dir, 'kustomize', 'stage', `${name}.yaml`), 'utf8'));
    await writeFile(join(made, 'stages.yaml'), (await Promise.all(stages)).join('\n---\n'));
  });
  return [join(folder, 'kwok'), '--config', join(folder, 'stages.yaml'), '--manage-all-nodes'];
}

async function buildInto(made: string): Promise<void> {
  const parts = isOnPath('kubectl') ? PARTS : [...PARTS, 'kubectl'];
  await goBuild(
    made,
    parts.map((part) => `k8s.io/kubernetes/cmd/${part}`),
    [
      ...['-X', `${VERSION}.gitVersion=v${KUBERNETES_VERSION}`],
      ...['-X', `${VERSION}.gitMajor=${MAJOR}`, '-X', `${VERSION}.gitMinor=${MINOR}`],
    ],
  );
}
