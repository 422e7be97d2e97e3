import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { registryConfiguration } from '../../scripts/cluster/registry.ts';

export interface RunningRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Kills it and starts it again with the same content. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A real registry on a loopback port, its storage in a temporary folder. `htpasswd` lines switch on basic authentication. */
export async function startDockerRegistry(
  command: string,
  options: { htpasswd?: string } = {},
): Promise<RunningRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-registry-'));
  const port = await freePort();
  const htpasswd = options.htpasswd === undefined ? undefined : join(folder, 'htpasswd');
  if (htpasswd !== undefined) await writeFile(htpasswd, options.htpasswd ?? '');
  const configuration = registryConfiguration(join(folder, 'data'), `127.0.0.1:${port}`, htpasswd);
  await writeFile(join(folder, 'config.yml'), configuration);
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(command, ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (text) => {
      errors += text;
    });
    await untilAnswering(child, `http://127.0.0.1:${port}/v2/`, () => errors);
    return child;
  };
  const kill = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  };
  let running = await start();
  return {
    host: `127.0.0.1:${port}`,
    restart: async () => {
      await kill(running);
      running = await start();
    },
    stop: async () => {
      await kill(running);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilAnswering(child: ChildProcess, url: string, errors: () => string): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the registry ended: ${errors()}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer) return;
    if (Date.now() > deadline) throw new Error('the registry did not begin to answer');
    await sleep(20);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}
