import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createZstdDecompress } from 'node:zlib';
import tar from 'tar-stream';
import xz from 'xz-decompress';

/** A file of a Debian package; paths are relative to `/`. */
export type PackageFile =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

const MAGIC = '!<arch>\n';
const HEADER = 60;

/** The files of a `.deb` that are wanted. @throws Error for what is no such package */
export async function packageFiles(deb: Buffer, isWanted: (path: string) => boolean): Promise<readonly PackageFile[]> {
  const extract = tar.extract();
  const reading = pipeline(dataOf(deb), extract as unknown as NodeJS.WritableStream);
  reading.catch(() => {});
  const files: PackageFile[] = [];
  for await (const entry of extract) {
    const { name, type, linkname } = entry.header;
    const path = name.replace(/^\.?\//, '');
    if (!isWanted(path) || (type !== 'file' && type !== 'symlink')) entry.resume();
    else if (type === 'symlink') {
      files.push({ kind: 'link', path, target: linkname ?? '' });
      entry.resume();
    } else files.push({ kind: 'file', path, content: await buffer(entry as unknown as Readable) });
  }
  await reading;
  return files;
}

function dataOf(deb: Buffer): Readable {
  for (const { name, content } of members(deb)) {
    if (name === 'data.tar') return Readable.from([content]);
    if (name === 'data.tar.zst') return Readable.from([content]).pipe(createZstdDecompress());
    if (name === 'data.tar.xz') return Readable.from(unpackedXz(content));
  }
  throw new Error('it has no data.tar that can be read');
}

async function* unpackedXz(content: Buffer): AsyncGenerator<Uint8Array> {
  const reader = new xz.XzReadableStream(new Blob([new Uint8Array(content)]).stream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
}

/** Of an `ar` archive. */
function* members(archive: Buffer): Generator<{ readonly name: string; readonly content: Buffer }> {
  if (archive.subarray(0, MAGIC.length).toString('latin1') !== MAGIC) throw new Error('it is not an ar archive');
  for (let at = MAGIC.length; at + HEADER <= archive.length; ) {
    const name = archive
      .subarray(at, at + 16)
      .toString('latin1')
      .trim()
      .replace(/\/$/, '');
    const size = Number(archive.subarray(at + 48, at + 58).toString('latin1'));
    yield { name, content: archive.subarray(at + HEADER, at + HEADER + size) };
    at += HEADER + size + (size % 2);
  }
}
