import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { storeLayer } from '../../src/engine/images/layer.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';
import { withLock } from '../../src/home/lock.ts';
import { installPackages, isOnPath } from '../packages.ts';
import { copyImage, type ImageName, putImage } from './image.ts';
import { openPlace } from './place.ts';

const SUITE = 'bookworm';
const PACKAGES = ['python3', 'python3-venv', 'ca-certificates'];
const UNNEEDED = ['/usr/share/doc/*', '/usr/share/locale/*', '/usr/share/man/*'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const IMAGE: ImageName = { repository: 'debian', tag: SUITE };

/** An OCI image layout in a folder. */
export interface BaseImage {
  readonly layout: string;
}

/** Debian bookworm with its Python 3.11; made once for all checkouts (half a minute). Or why there is none. */
export async function debianBaseImage(): Promise<BaseImage | { readonly skip: string }> {
  const { cache } = openPlace();
  const key = createHash('sha256')
    .update(['2', SUITE, ...PACKAGES, ...UNNEEDED].join(' '))
    .digest('hex')
    .slice(0, 12);
  const layout = join(cache, `debian-${key}`);
  if (existsSync(layout)) return { layout };
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { skip: 'a base image can be made by root on Linux only' };
  if (!isOnPath('mmdebstrap') && !installPackages(['mmdebstrap'])) return { skip: 'needs mmdebstrap' };
  try {
    await withLock(openHome({ AKSML_HOME: cache }), 'debian', () => makeOnce(layout));
    return { layout };
  } catch (error) {
    return {
      skip: `mmdebstrap failed, perhaps for want of a network: ${error instanceof Error ? error.message : error}`,
    };
  }
}

/** Brings the image into a registry at `address`; returns the image's name there. */
export async function pushBaseImage({ layout }: BaseImage, registry: Registry): Promise<string> {
  await copyImage(openLayout(openPlaceHome(), layout), registry, IMAGE);
  return `${registry.location}/${IMAGE.repository}:${IMAGE.tag}`;
}

async function makeOnce(layout: string): Promise<void> {
  if (existsSync(layout)) return;
  const work = await mkdtemp(`${layout}-`);
  try {
    await bootstrap(openLayout(openPlaceHome(), work));
    await rename(work, layout);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function bootstrap(registry: Registry): Promise<void> {
  const tar = spawn(
    'mmdebstrap',
    [
      ...['--variant=minbase', `--include=${PACKAGES.join(',')}`, '--format=tar', '--skip=output/dev'],
      ...UNNEEDED.map((path) => `--dpkgopt=path-exclude=${path}`),
      ...[SUITE, '-'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SOURCE_DATE_EPOCH: '0' } },
  );
  let said = '';
  tar.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000);
  });
  const ended = once(tar, 'close');
  const layer = await storeLayer(registry, IMAGE.repository, tar.stdout, { compression: 'gzip' });
  const [code] = await ended;
  if (code !== 0) throw new Error(`mmdebstrap ended with ${code}: ${said}`);
  await putImage(registry, IMAGE, [layer], { Env: [`PATH=${PATH}`, 'LANG=C.UTF-8'], Cmd: ['python3'] });
}

function openPlaceHome() {
  return openHome({ AKSML_HOME: openPlace().cache });
}
