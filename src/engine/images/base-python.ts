import { pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import tar from 'tar-stream';
import { type Descriptor, MEDIA_TYPE } from '../registry/registry.ts';

/** What decides which packages fit into an image. */
export interface BaseContent {
  /** Interpreters, by the path of the executable, absolute in the image. */
  readonly pythons: readonly BasePython[];
  readonly libc: 'gnu' | 'musl' | 'unknown';
}

export interface BasePython {
  readonly path: string;
  /** `3.11` */
  readonly minor: string;
}

/** What one layer adds and takes away. Kept per layer, because layers are shared. */
export interface LayerFinds {
  readonly pythons: readonly string[];
  /** Paths whose content in lower layers is gone; empty: all of it. */
  readonly removed: readonly string[];
  readonly libc: BaseContent['libc'];
}

const PYTHON =
  /^(?:usr\/(?:local\/)?bin|bin|opt\/[^/]+(?:\/envs\/[^/]+)?\/bin|azureml-envs\/[^/]+\/bin)\/python(3\.\d+)$/;
const MUSL = /^(?:usr\/)?lib\/ld-musl-[^/]+\.so\.1$/;
const GNU = /(?:^|\/)(?:ld-linux-[^/]+\.so\.\d|libc\.so\.6)$/;
/** What a layer takes away has such a name there. */
export const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** Reads a layer through, without unpacking it. */
export async function inspectLayer(layer: Descriptor, content: Readable): Promise<LayerFinds> {
  const pythons: string[] = [];
  const removed: string[] = [];
  let libc: BaseContent['libc'] = 'unknown';
  const extract = tar.extract();
  pipeline(decompressed(layer, content), extract, () => {});
  for await (const entry of extract) {
    const path = entry.header.name.replace(/^(?:\.?\/)+/, '').replace(/\/$/, '');
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (name === OPAQUE) removed.push(path.slice(0, Math.max(0, slash)));
    else if (name.startsWith(WHITEOUT)) removed.push(path.slice(0, slash + 1) + name.slice(WHITEOUT.length));
    else if (PYTHON.test(path)) pythons.push(path);
    if (MUSL.test(path)) libc = 'musl';
    else if (GNU.test(path) && libc === 'unknown') libc = 'gnu';
    entry.resume();
  }
  return { pythons, removed, libc };
}

export function decompressed(layer: Descriptor, content: Readable): Readable {
  const decompressor =
    layer.mediaType === MEDIA_TYPE.layerGzip
      ? createGunzip()
      : layer.mediaType === MEDIA_TYPE.layerZstd
        ? createZstdDecompress()
        : undefined;
  if (!decompressor) return content;
  pipeline(content, decompressor, () => {});
  return decompressor;
}

/** What is left when the layers lie on each other, the lowest first. */
export function combineFinds(layers: readonly LayerFinds[]): BaseContent {
  let pythons: string[] = [];
  let libc: BaseContent['libc'] = 'unknown';
  for (const layer of layers) {
    pythons = pythons.filter(
      (path) => !layer.removed.some((gone) => gone === '' || path === gone || path.startsWith(`${gone}/`)),
    );
    pythons.push(...layer.pythons.filter((path) => !pythons.includes(path)));
    if (layer.libc !== 'unknown') libc = layer.libc;
  }
  return {
    libc,
    pythons: pythons.map((path) => ({ path: `/${path}`, minor: PYTHON.exec(path)?.[1] ?? '' })),
  };
}

/** The interpreter that `accepts`, in the order of the image's own PATH; others after those, the newest first. */
export function chooseBasePython(
  content: BaseContent,
  searchPath: string,
  accepts: (minor: string) => boolean,
): BasePython | undefined {
  const folders = searchPath.split(':');
  const rank = ({ path }: BasePython): number => {
    const found = folders.indexOf(path.slice(0, path.lastIndexOf('/')));
    return found === -1 ? folders.length : found;
  };
  return content.pythons
    .filter(({ minor }) => accepts(minor))
    .sort((a, b) => rank(a) - rank(b) || Number(b.minor.slice(2)) - Number(a.minor.slice(2)))[0];
}
