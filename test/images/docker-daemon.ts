import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installPackages, isOnPath } from '../../scripts/packages.ts';

export interface DockerDaemon {
  /** `DOCKER_HOST` of its clients. */
  readonly address: string;
  stop(): Promise<void>;
}

/** Or why docker cannot be run here. */
export function findDocker(): { readonly skip?: string } {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return { skip: 'docker is run by root on Linux only' };
  if ((isOnPath('dockerd') && isOnPath('docker')) || installPackages(['docker.io'])) return {};
  return { skip: 'needs docker and dockerd on PATH; installed from Debian only as root with CI set' };
}

const START_TIMEOUT_MS = 60_000;

/** What dockerd makes for its containers, and leaves behind. */
const BRIDGE = 'docker0';

/** A daemon that keeps all of its content in a folder of its own, and takes its network with it. */
export async function startDockerDaemon(): Promise<DockerDaemon> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-docker-'));
  const hadBridge = existsSync(`/sys/class/net/${BRIDGE}`);
  const address = `unix://${join(folder, 'docker.sock')}`;
  const places = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')];
  const network = ['--iptables=false', '--bip=10.213.213.1/24', '--ip-masq=false', '--ip-forward=false'];
  const words = [...places, '--pidfile', join(folder, 'pid'), '--host', address, '--storage-driver', 'vfs', ...network];
  const limits = ['--default-ulimit', 'nofile=1024:1024', '--default-ulimit', 'nproc=1024:1024'];
  const child = spawn('dockerd', [...words, ...limits], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4000);
  });
  const gone = once(child, 'exit');
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (spawnSync('docker', ['--host', address, 'version'], { stdio: 'ignore' }).status !== 0) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`dockerd does not answer: ${said}`);
    await sleep(100);
  }
  return {
    address,
    stop: async () => {
      child.kill('SIGTERM');
      await gone;
      if (!hadBridge) spawnSync('ip', ['link', 'delete', BRIDGE], { stdio: 'ignore' });
      await rm(folder, { recursive: true, force: true });
    },
  };
}
