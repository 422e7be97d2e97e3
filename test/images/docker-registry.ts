import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunningRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  stop(): Promise<void>;
}

/** Name of the registry's program, or why there is none. Installs Debian's package where that is allowed: as root in CI. */
export function findDockerRegistry(): { readonly command: string } | { readonly skip: string } {
  const command = ['docker-registry', 'registry'].find(isOnPath);
  if (command !== undefined) return { command };
  if (installPackages(['docker-registry'])) return { command: 'docker-registry' };
  return { skip: 'needs docker-registry (or registry) on PATH; installed from Debian only as root with CI set' };
}

export function isOnPath(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** From Debian, as root in CI only; several test files may ask at once. */
export function installPackages(packages: readonly string[]): boolean {
  if (process.getuid?.() !== 0 || !process.env['CI'] || !isOnPath('apt-get') || !isOnPath('flock')) return false;
  const apt = (...words: readonly string[]) =>
    spawnSync('flock', [join(tmpdir(), 'aksml-apt.lock'), 'apt-get', ...words], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0;
  const install = () => apt('install', '-y', '--no-install-recommends', ...packages);
  return install() || (apt('update') && install());
}

/** A real registry on a loopback port, its storage in a temporary folder. `htpasswd` lines switch on basic authentication. */
export async function startDockerRegistry(
  command: string,
  options: { htpasswd?: string } = {},
): Promise<RunningRegistry> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-registry-'));
  const port = await freePort();
  const configuration: Record<string, unknown> = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  };
  if (options.htpasswd !== undefined) {
    await writeFile(join(folder, 'htpasswd'), options.htpasswd);
    configuration['auth'] = { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } };
  }
  await writeFile(join(folder, 'config.yml'), JSON.stringify(configuration));
  const child = spawn(command, ['serve', join(folder, 'config.yml')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  await untilAnswering(child, `http://127.0.0.1:${port}/v2/`, () => errors);
  return {
    host: `127.0.0.1:${port}`,
    stop: async () => {
      const gone = once(child, 'exit');
      if (child.exitCode === null) child.kill('SIGKILL');
      await gone;
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
