import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import tar from 'tar-stream';
import { putImage } from '../../scripts/cluster/image.ts';
import { decompressed } from '../../src/engine/images/base-python.ts';
import { type LayerEntry, storeSmallLayer } from '../../src/engine/images/layer.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';

/** Debian's Python in the base image of the tests. */
const PYTHON = /^(?:\.\/)?usr\/(bin\/python3\.11$|lib\/python3\.11\/(?!(?:test|idlelib|lib2to3|config-)).+)/;

/** The base image with its Python taken away by a layer of whiteouts; and that Python as uv would download it from a mirror. */
export interface BareBase {
  readonly image: string;
  /** Variables that make uv take the Python from the folder. */
  readonly variables: Readonly<Record<string, string>>;
}

/** @param folder gets the download */
export async function makeBareBase(registry: Registry, debian: string, folder: string): Promise<BareBase> {
  const [repository = '', reference = ''] = debian.slice(registry.location.length + 1).split(':');
  const { manifest } = await registry.getManifest(repository, reference);
  const config = JSON.parse((await buffer(await registry.getBlob(repository, manifest.config.digest))).toString());
  const [layer] = manifest.layers;
  if (!layer) throw new Error('the base image has no layer');
  const gone = ['usr/bin/.wh.python3', 'usr/bin/.wh.python3.11', 'usr/lib/.wh.python3.11'];
  const whiteouts = gone.map((path): LayerEntry => {
    return { kind: 'file', path, executable: false, content: new Uint8Array() };
  });
  const removal = await storeSmallLayer(registry, 'bare', whiteouts);
  await registry.putBlob('bare', await registry.getBlob(repository, layer.digest), { mediaType: layer.mediaType });
  const below = { descriptor: layer, diffId: config.rootfs.diff_ids[0] };
  await putImage(registry, { repository: 'bare', tag: '1' }, [below, removal], config.config);
  const archive = await packPython(decompressed(layer, await registry.getBlob(repository, layer.digest)));
  const file = join(folder, 'python.tar.gz');
  await writeFile(file, archive);
  const list = join(folder, 'downloads.json');
  await writeFile(list, JSON.stringify(downloads(file, createHash('sha256').update(archive).digest('hex'))));
  return { image: `${registry.location}/bare:1`, variables: { UV_PYTHON_DOWNLOADS_JSON_URL: list } };
}

async function packPython(layer: Readable): Promise<Buffer> {
  const extract = layer.pipe(tar.extract() as unknown as NodeJS.WritableStream) as unknown as tar.Extract;
  const pack = tar.pack();
  const packed = buffer(pack as unknown as Readable);
  for await (const entry of extract) {
    const { name, type, mode, linkname } = entry.header;
    const path = PYTHON.exec(name)?.[1];
    if (path === undefined || (type !== 'file' && type !== 'symlink')) entry.resume();
    else if (type === 'file') pack.entry({ name: `python/${path}`, mode }, await buffer(entry as unknown as Readable));
    else {
      if (!linkname?.startsWith('/')) pack.entry({ name: `python/${path}`, type, linkname });
      entry.resume();
    }
  }
  pack.finalize();
  return gzipSync(await packed, { level: 1 });
}

/** uv's list of Pythons, with this one in it. */
function downloads(file: string, sha256: string): unknown {
  const family = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const release = { major: 3, minor: 11, patch: 2, prerelease: '', variant: null, build: null };
  const place = { arch: { family, variant: null }, os: 'linux', libc: 'gnu', url: `file://${file}`, sha256 };
  return { [`cpython-3.11.2-linux-${family}-gnu`]: { name: 'cpython', ...place, ...release } };
}
