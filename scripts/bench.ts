import { glob } from 'node:fs/promises';
import { buildAll } from './build.ts';
import { runToEnd } from './child.mjs';

/** Builds, then runs every benchmark, or those whose name contains an argument; each prints its own table. */
const wanted = process.argv.slice(2);
const files = (await Array.fromAsync(glob('test/bench/*.bench.ts'))).sort();
await buildAll();
for (const file of files.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))) {
  console.log(`\n## ${file}`);
  const { code, stoppedBy } = await runToEnd(process.execPath, [file], { detached: process.platform !== 'win32' });
  if (code !== 0) process.exitCode = code;
  if (stoppedBy !== undefined) break;
}
