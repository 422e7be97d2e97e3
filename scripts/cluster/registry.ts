import { mkdir } from 'node:fs/promises';
import { packEntries, storeLayer } from '../../src/engine/images/layer.ts';
import { DistributionRegistry } from '../../src/engine/registry/distribution.ts';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { installPackages, isOnPath } from '../packages.ts';
import type { Daemon } from './daemon.ts';
import { putImage } from './image.ts';
import type { Place } from './place.ts';

/** Name of the registry's program, or why there is none. Installs Debian's package where that is allowed. */
export function findDockerRegistry(): { readonly command: string } | { readonly skip: string } {
  const command = ['docker-registry', 'registry'].find(isOnPath);
  if (command !== undefined) return { command };
  if (installPackages(['docker-registry'])) return { command: 'docker-registry' };
  return { skip: 'needs docker-registry (or registry) on PATH; installed from Debian only as root with CI set' };
}

/** Configuration of a registry that keeps its content in a folder; with `htpasswd`, a file, it asks for a password. */
export function registryConfiguration(folder: string, address: string, htpasswd?: string): string {
  return JSON.stringify({
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
    http: { addr: address },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
  });
}

export async function registryDaemon(place: Place, address: string, command: string): Promise<Daemon> {
  await mkdir(place.path('registry'), { recursive: true });
  const file = place.path('registry', 'config.yml');
  await writeFileAtomic(file, registryConfiguration(place.path('registry', 'data'), address));
  return { name: 'registry', command, args: ['serve', file] };
}

const PAUSE = { repository: 'pause', tag: '1' };

/** The image that holds a pod's network: a program that sleeps. Returns its name. */
export async function pushPauseImage(address: string, busybox: { readonly source: string; readonly size: number }) {
  const registry = new DistributionRegistry(address, { fetch });
  const files = packEntries([{ kind: 'file', path: 'busybox', executable: true, content: busybox }]);
  const layer = await storeLayer(registry, PAUSE.repository, files, { compression: 'gzip' });
  await putImage(registry, PAUSE, [layer], { Entrypoint: ['/busybox', 'sleep', '2147483647'] });
  return `${address}/${PAUSE.repository}:${PAUSE.tag}`;
}
