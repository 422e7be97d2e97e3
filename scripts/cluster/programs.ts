import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
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
  if (existsSync(folder)) return folder;
  return withLock(
    openHome({ AKSML_HOME: place.cache }),
    'kubernetes',
    async () => {
      if (!existsSync(folder)) await buildInto(place, folder);
      return folder;
    },
    { timeoutMs: 60 * 60_000 },
  );
}

async function buildInto(place: Place, folder: string): Promise<void> {
  const parts = isOnPath('kubectl') ? PARTS : [...PARTS, 'kubectl'];
  const flags = [
    ...['-s', '-w', '-X', `${VERSION}.gitVersion=v${KUBERNETES_VERSION}`],
    ...['-X', `${VERSION}.gitMajor=${MAJOR}`, '-X', `${VERSION}.gitMinor=${MINOR}`],
  ];
  await mkdir(place.cache, { recursive: true });
  const made = await mkdtemp(`${folder}-`);
  try {
    const command = ['-n', '10', 'go', 'build', '-mod=readonly', '-buildvcs=false', '-ldflags', flags.join(' ')];
    await run('nice', [...command, '-o', `${made}/`, ...parts.map((part) => `k8s.io/kubernetes/cmd/${part}`)], {
      cwd: join(import.meta.dirname, 'kubernetes'),
      env: { ...process.env, CGO_ENABLED: '0' },
    });
    await rename(made, folder);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
