import { pipeline } from 'node:stream/promises';
import tar from 'tar-stream';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference } from '../../contract/revision.ts';
import type { Registry } from '../registry/registry.ts';
import { APP_ROOT } from '../snapshot/source.ts';

/** One file or folder of a code layer. */
export interface CodeEntry {
  readonly kind: 'file' | 'folder';
  /** Below the app root, its parts checked: none leads out of it. */
  readonly parts: readonly string[];
  readonly executable: boolean;
  /** Bytes. */
  readonly size: number;
  /** To be read, or left, before the next entry is asked for. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** Where a code layer is read from. */
export interface CodeSource {
  readonly registry: Registry;
  readonly repository: string;
  readonly signal?: AbortSignal;
}

/**
 * The entries of a code layer in their order. A layer from a registry is not trusted: anything but files and folders below the app root
 * is refused.
 * @throws AksmlError `revision.badLayer` | `registry.*`
 */
export async function* readCodeLayer(
  { registry, repository, signal }: CodeSource,
  { digest }: Pick<CodeReference, 'digest'>,
): AsyncGenerator<CodeEntry> {
  const layer = await registry.getBlob(repository, digest, signal);
  const extract = tar.extract();
  // tar-stream's streams behave as Node's, only their types differ.
  const reading = pipeline(layer, extract as unknown as NodeJS.WritableStream);
  reading.catch(() => {});
  try {
    for await (const entry of extract) {
      signal?.throwIfAborted();
      const { name, type, mode = 0, size = 0 } = entry.header;
      if (type !== 'file' && type !== 'directory') throw badLayer(name, 'is neither a file nor a folder');
      const kind = type === 'file' ? 'file' : 'folder';
      const path = kind === 'folder' ? name.replace(/\/$/, '') : name;
      if (kind === 'folder' && `${APP_ROOT}/`.startsWith(`${path}/`)) {
        entry.resume();
        continue;
      }
      const parts = checkedParts(path);
      yield { kind, parts, executable: (mode & 0o100) !== 0, size, content: entry as AsyncIterable<Uint8Array> };
      entry.resume();
    }
    await reading;
  } finally {
    layer.destroy();
  }
}

/** What Windows reads in names: separators, drives and streams, devices; and it drops dots and spaces at the end. */
const ODD_ON_WINDOWS = /[\\:*?"<>|]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

function checkedParts(name: string): string[] {
  const prefix = `${APP_ROOT}/`;
  const parts = name.slice(prefix.length).split('/');
  const isOdd = (part: string) => part === '' || part === '.' || part === '..' || part.includes('\0');
  if (!name.startsWith(prefix) || parts.some(isOdd)) throw badLayer(name, 'does not lie below the app root');
  if (process.platform === 'win32' && parts.some((part) => ODD_ON_WINDOWS.test(part))) {
    throw badLayer(name, 'is a name that Windows does not allow');
  }
  return parts;
}

function badLayer(name: string, why: string): AksmlError {
  return new AksmlError('revision.badLayer', `The code layer cannot be unpacked: ${JSON.stringify(name)} ${why}.`, {
    subject: name,
    remedy: 'Deploy the code again from its source directory.',
  });
}
