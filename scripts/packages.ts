import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function isOnPath(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/**
 * From Debian, as root, and only in CI or where it was asked for; several processes may ask at once. Starts no service.
 * False when it is not allowed or did not work.
 */
export function installPackages(packages: readonly string[], options: { readonly asked?: boolean } = {}): boolean {
  const allowed = options.asked === true || Boolean(process.env['CI']);
  if (!allowed || process.getuid?.() !== 0 || !isOnPath('apt-get') || !isOnPath('flock')) return false;
  const script = join(import.meta.dirname, 'install-packages.ts');
  const lock = join(tmpdir(), 'aksml-apt.lock');
  return spawnSync('flock', [lock, process.execPath, script, ...packages], { stdio: 'ignore' }).status === 0;
}
