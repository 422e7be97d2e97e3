// Installs the Debian packages that are named on the command line. Run by `installPackages`, one at a time.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Packages start their services when they are installed, unless this script forbids it. One that the machine has is left as it is. */
const POLICY = '/usr/sbin/policy-rc.d';
const OURS = '#!/bin/sh\n# For as long as packages are installed for the tests of aksml.\nexit 101\n';

const packages = process.argv.slice(2);
if (!existsSync(POLICY)) writeFileSync(POLICY, OURS, { mode: 0o755 });
try {
  process.exitCode = install() || (apt('update') && install()) ? 0 : 1;
} finally {
  // Also one that a killed run left behind.
  if (readFileSync(POLICY, 'utf8') === OURS) rmSync(POLICY);
}

function install(): boolean {
  return apt('install', '-y', '--no-install-recommends', ...packages);
}

function apt(...words: readonly string[]): boolean {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', words, { stdio: 'inherit', env: environment }).status === 0;
}
