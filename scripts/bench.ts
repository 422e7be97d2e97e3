import { spawnSync } from 'node:child_process';
import { glob } from 'node:fs/promises';

/** Runs every benchmark, or those whose name contains an argument; each prints its own table. */
const wanted = process.argv.slice(2);
const files = (await Array.fromAsync(glob('test/bench/*.bench.ts'))).sort();
for (const file of files.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))) {
  console.log(`\n## ${file}`);
  const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
