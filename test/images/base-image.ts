import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import { MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { installPackages, isOnPath } from './docker-registry.ts';

/** Where what is slow to make is kept from one run to the next. */
const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'test-images');
const PACKAGES = 'python3,python3-venv,ca-certificates';
const SUITE = 'bookworm';

/** Debian with its Python, as an OCI image layout; made once (about a minute). Or why there is none. */
export async function debianBaseImage(): Promise<{ readonly layout: string } | { readonly skip: string }> {
  const key = createHash('sha256').update(`2 ${SUITE} ${PACKAGES}`).digest('hex').slice(0, 12);
  const layout = join(CACHE, `debian-${key}`);
  if (existsSync(join(layout, 'index.json'))) return { layout };
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { skip: 'a base image can be made by root on Linux only' };
  if (!isOnPath('debootstrap') && !installPackages(['debootstrap'])) return { skip: 'needs debootstrap' };
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'work-'));
  try {
    const rootfs = join(work, 'rootfs');
    const made = spawnSync('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`, SUITE, rootfs], {
      stdio: 'ignore',
    });
    if (made.status !== 0) return { skip: 'debootstrap failed, perhaps for want of a network' };
    await writeLayout(rootfs, join(work, 'layout'));
    await rename(join(work, 'layout'), layout);
    return { layout };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function writeLayout(rootfs: string, layout: string): Promise<void> {
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const put = async (content: Uint8Array, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    await writeFile(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const unneeded = [
    './var/cache/apt/*',
    './var/lib/apt/lists/*',
    './usr/share/doc/*',
    './usr/share/locale/*',
    './dev/*',
  ];
  const tar = spawn(
    'tar',
    ['-C', rootfs, '--numeric-owner', '--sort=name', ...unneeded.map((path) => `--exclude=${path}`), '-c', '.'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = once(tar, 'close');
  const plain = createHash('sha256');
  const gzip = createGzip({ level: 1 });
  tar.stdout.on('data', (chunk: Buffer) => plain.update(chunk));
  const parts: Buffer[] = await tar.stdout.pipe(gzip).toArray();
  const [code] = await ended;
  if (code !== 0) throw new Error(`tar ended with ${code}`);
  const layer = await put(Buffer.concat(parts), MEDIA_TYPE.layerGzip);
  const config = await put(
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        config: {
          Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'LANG=C.UTF-8'],
          Cmd: ['python3'],
        },
        history: [{ created: new Date(0).toISOString(), created_by: 'debootstrap' }],
        rootfs: { type: 'layers', diff_ids: [`sha256:${plain.digest('hex')}`] },
      }),
    ),
    MEDIA_TYPE.imageConfig,
  );
  const manifest = await put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers: [layer] })),
    MEDIA_TYPE.manifest,
  );
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const annotations = { 'org.opencontainers.image.ref.name': 'bookworm' };
  await writeFile(
    join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.index, manifests: [{ ...manifest, annotations }] }),
  );
}
