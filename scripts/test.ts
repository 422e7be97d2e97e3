import { glob } from 'node:fs/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { buildAll } from './build.ts';

/** Builds, runs the test files named on the command line, else all of them, and ends with the line `N passed, N failed, N skipped`. */
const patterns = process.argv.slice(2);
const files = (await Array.fromAsync(glob(patterns.length > 0 ? patterns : ['test/**/*.test.ts']))).sort();
await buildAll();
const counts = { passed: 0, failed: 0, skipped: 0 };

const stream = run({ files, concurrency: 2, timeout: 15 * 60_000 });
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite') return;
  if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
  else counts.passed += 1;
});
stream.on('test:fail', (event) => {
  if (event.details.type !== 'suite') counts.failed += 1;
  process.exitCode = 1;
});
stream.compose(spec()).pipe(process.stdout);
stream.on('end', () => {
  if (files.length === 0 || counts.passed === 0) process.exitCode = 1;
  process.once('exit', () =>
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`),
  );
});
