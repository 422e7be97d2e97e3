import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import { pipeline as piped } from 'node:stream/promises';
import tar from 'tar-stream';
import { AksmlError } from '../../contract/error.ts';

/** Writes the files and folders of a layer that are below `prefix` (which ends in `/`) into an existing folder. */
export async function unpackLayer(layer: Readable, prefix: string, target: string): Promise<void> {
  const extract = tar.extract();
  pipeline(layer, extract, () => {});
  for await (const entry of extract) {
    const { name, type, mode } = entry.header;
    const path = name.startsWith(prefix) ? name.slice(prefix.length).replace(/\/$/, '') : '';
    if (path === '') {
      entry.resume();
      continue;
    }
    if (!isSafe(path) || (type !== 'file' && type !== 'directory')) throw strange(name);
    const destination = join(target, ...path.split('/'));
    await mkdir(type === 'directory' ? destination : dirname(destination), { recursive: true });
    if (type === 'directory') entry.resume();
    else await piped(Readable.from(entry), createWriteStream(destination, { mode: mode & 0o777, flags: 'wx' }));
  }
}

/** Names from a registry are not trusted: none may leave the folder. */
function isSafe(path: string): boolean {
  const odd = process.platform === 'win32' ? /[\\:\0]/ : /\0/;
  return !odd.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

function strange(name: string): AksmlError {
  return new AksmlError('registry.corrupt', `The code layer holds "${name}", which aksml did not write.`, {
    remedy: 'Run the command again from the source directory.',
  });
}
