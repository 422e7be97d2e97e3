import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { installPackages, isOnPath } from '../../scripts/packages.ts';
import { freePort } from './docker-registry.ts';

export interface RunningContainer {
  readonly address: string;
  /** Where probes are answered. */
  readonly health: string;
}

/** A podman with a storage of its own, which goes with it. */
export interface Podman {
  run(...words: readonly string[]): Promise<string>;
  /** What a command of the image's shell prints. */
  runOnce(image: string, command: string): Promise<string>;
  /** Starts a container of the image on ports of this machine and waits until it is ready, or until it lives. */
  serve(image: string, until?: 'ready' | 'live'): Promise<RunningContainer>;
  close(): Promise<void>;
}

/** Or why containers cannot be run here. */
export function findPodman(): { readonly skip?: string } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return { skip: 'containers are run by root on Linux only' };
  if (isOnPath('podman') || installPackages(['podman', 'runc', 'crun'])) return {};
  return { skip: 'needs podman on PATH; installed from Debian only as root with CI set' };
}

/** Limits that every machine allows, also one inside a container. */
const LIMITS = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
const START_TIMEOUT_MS = 60_000;

export async function openPodman(): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-podman-'));
  // crun refuses machines with both versions of cgroups, runc does not.
  const runtime = isOnPath('runc') ? ['--runtime', 'runc'] : [];
  const storage = ['--storage-driver', 'vfs', '--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  const words = [...storage, '--cgroup-manager', 'cgroupfs', '--events-backend', 'none', ...runtime];
  const run = async (...more: readonly string[]): Promise<string> => {
    const { stdout } = await promisify(execFile)('podman', [...words, ...more], { maxBuffer: 1 << 24 });
    return stdout.trim();
  };
  return {
    run,
    runOnce: (image, command) =>
      run('run', '--rm', '--network', 'host', ...LIMITS, '--entrypoint', 'sh', image, '-c', command),
    serve: async (image, until = 'ready') => {
      const [port, healthPort] = [await freePort(), await freePort()];
      const variables = [`SERVER_PORT=${port}`, `AKSML_HEALTH_PORT=${healthPort}`].flatMap((variable) => [
        '--env',
        variable,
      ]);
      const container = await run('run', '--detach', '--network', 'host', ...variables, ...LIMITS, image);
      const health = `http://127.0.0.1:${healthPort}`;
      const deadline = Date.now() + START_TIMEOUT_MS;
      while (!(await answers(`${health}/${until}`))) {
        const state = await run('inspect', '--format', '{{.State.Status}}', container);
        if (state !== 'running' || Date.now() > deadline)
          throw new Error(`container ${state}: ${logs(words, container)}`);
        await sleep(100);
      }
      return { address: `http://127.0.0.1:${port}`, health };
    },
    close: async () => {
      await removeContainers(run);
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

/** A container that is about to end holds mounts in the storage for a moment, in which podman refuses to remove it. */
async function removeContainers(run: Podman['run']): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await run('rm', '--all', '--force', '--time', '0');
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}

async function answers(address: string): Promise<boolean> {
  const answer = await fetch(address).catch(() => undefined);
  await answer?.body?.cancel();
  return answer?.ok ?? false;
}

function logs(words: readonly string[], container: string): string {
  const { stdout, stderr } = spawnSync('podman', [...words, 'logs', container], { encoding: 'utf8' });
  return stdout + stderr;
}
