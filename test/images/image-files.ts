import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-stream';
import { decompressed } from '../../src/engine/images/base-python.ts';
import type { Registry } from '../../src/engine/registry/registry.ts';

/** The small files of an image, by their paths; of the largest only that they are there. */
export async function inspectFiles(
  registry: Registry,
  repository: string,
  digest: string,
): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const { manifest } = await registry.getManifest(repository, digest);
  for (const layer of manifest.layers) {
    const extract = tar.extract();
    decompressed(layer, await registry.getBlob(repository, layer.digest)).pipe(
      extract as unknown as NodeJS.WritableStream,
    );
    for await (const entry of extract) {
      const { name, size = 0, type, linkname } = entry.header;
      const isSmall = type === 'file' && size < 65_536;
      const text = isSmall ? (await buffer(entry as unknown as Readable)).toString('utf8') : (linkname ?? '');
      if (!isSmall) entry.resume();
      files.set(name.replace(/^\.\//, ''), text);
    }
  }
  return files;
}
