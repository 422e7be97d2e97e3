import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openHome } from '../src/home/home.ts';
import { withLock } from '../src/home/lock.ts';
import { openPlace } from './cluster/place.ts';
import { installPackages, isOnPath } from './packages.ts';

/** The suite whose HAProxy is in the front end's image: 3.0, with long-term support. */
const SUITE = 'trixie';

/** The executable, or why there is none. */
export type HaproxyProgram = string | { readonly skip: string };

/** Debian's HAProxy 3.0, with its libraries in a folder of their own; unpacked once for all checkouts (ten seconds). */
export async function haproxyProgram(): Promise<HaproxyProgram> {
  const { cache } = openPlace();
  const root = join(cache, `haproxy-${SUITE}`);
  const libraries = join(root, 'usr', 'lib', `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  const loader = process.arch === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2';
  // Its master starts itself again by the name that it was started by.
  const program = join(root, 'haproxy');
  const start = `exec ${join(libraries, loader)} --library-path ${libraries} --argv0 "$0" ${join(root, 'usr', 'sbin', 'haproxy')} "$@"`;
  if (existsSync(program)) return program;
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { skip: 'HAProxy 3.0 is unpacked from Debian by root on Linux only' };
  if (!isOnPath('mmdebstrap') && !installPackages(['mmdebstrap'])) return { skip: 'needs mmdebstrap' };
  return withLock(openHome({ AKSML_HOME: cache }), 'haproxy', async () => {
    if (existsSync(program)) return program;
    const work = `${root}.new`;
    await rm(work, { recursive: true, force: true });
    const { status, stderr } = spawnSync('mmdebstrap', ['--variant=extract', '--include=haproxy', SUITE, work]);
    if (status !== 0)
      return { skip: `mmdebstrap failed, perhaps for want of a network: ${String(stderr).slice(-500)}` };
    await writeFile(join(work, 'haproxy'), `#!/bin/sh\n${start}\n`, { mode: 0o755 });
    await rm(root, { recursive: true, force: true });
    await rename(work, root);
    return program;
  });
}
