import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { haproxyFiles, haproxyKey } from '../src/engine/images/haproxy.ts';
import { openHome } from '../src/home/home.ts';
import { withLock } from '../src/home/lock.ts';
import { openPlace } from './cluster/place.ts';

/** The executable, or why there is none. */
export type HaproxyProgram = string | { readonly skip: string };

/** The HAProxy that the front end's image has, put together once for all checkouts (some seconds). */
export async function haproxyProgram(): Promise<HaproxyProgram> {
  if (process.platform !== 'linux') return { skip: 'the HAProxy of the front end is one for Linux' };
  const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };
  const home = openHome({ AKSML_HOME: openPlace().cache });
  const folder = join(openPlace().cache, haproxyKey(platform, openPlace().cache).slice(0, 20));
  const program = join(folder, 'bin', 'haproxy');
  const whole = join(folder, 'whole');
  if (existsSync(whole)) return program;
  try {
    return await withLock(home, 'haproxy', async () => {
      if (existsSync(whole)) return program;
      await rm(folder, { recursive: true, force: true });
      for (const entry of await haproxyFiles({ home, environment: process.env, fetch }, platform, folder)) {
        if (entry.kind !== 'file' || !(entry.content instanceof Uint8Array)) continue;
        const path = `/${entry.path}`;
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, entry.content, { mode: entry.executable ? 0o755 : 0o644 });
      }
      await writeFile(whole, '');
      return program;
    });
  } catch (error) {
    return {
      skip: `HAProxy cannot be had, perhaps for want of a network: ${error instanceof Error ? error.message : error}`,
    };
  }
}
