import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { run } from '../../scripts/cluster/command.ts';
import { openHome } from '../../src/home/home.ts';
import { withLock } from '../../src/home/lock.ts';

/** Builds a program of the Go module proxy, such as `example.org/x/cmd/x@v1.2.3`, into a folder of the cache, once for all checkouts. */
export async function installGoProgram(program: string, folder: string): Promise<void> {
  const cache = dirname(folder);
  await withLock(openHome({ AKSML_HOME: cache }), basename(folder), () => buildInto(program, folder), {
    timeoutMs: 30 * 60_000,
  });
}

async function buildInto(program: string, folder: string): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(dirname(folder), { recursive: true });
  const made = await mkdtemp(`${folder}-`);
  try {
    await run('nice', ['-n', '10', 'go', 'install', '-trimpath', '-ldflags', '-s -w', program], {
      cwd: dirname(folder),
      env: { ...process.env, CGO_ENABLED: '0', GOBIN: made, GOFLAGS: '-buildvcs=false' },
    });
    await rename(made, folder);
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}
