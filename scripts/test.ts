import { glob } from 'node:fs/promises';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { buildAll } from './build.ts';
import { type ClusterForTests, clusterForTests } from './cluster/for-tests.ts';

/**
 * Builds, runs the test files named on the command line, else all of them, and ends with the line `N passed, N failed, N skipped`.
 * Those in `test/cluster/` come last, on a cluster that is brought up for them and ended again, unless one was up already. Those of them
 * that attach it take turns, as there can be one at a time; beside them run first `test/images/`, which need no cluster, then the others.
 */
const patterns = process.argv.slice(2);
const files = (await Array.fromAsync(glob(patterns.length > 0 ? patterns : ['test/**/*.test.ts']))).sort();
const onCluster = files.filter((file) => file.startsWith('test/cluster/'));
const attached = onCluster.filter((file) => file.startsWith('test/cluster/attached/'));
const besideAttached = attached.length === 0 ? [] : files.filter((file) => file.startsWith('test/images/'));
const others = files.filter((file) => !onCluster.includes(file) && !besideAttached.includes(file));
/** A file that leaves a child process behind when its clean-up fails would not end by itself, and hold up all others. */
const END_WITH_LAST_TEST = '--test-force-exit';
const counts = { passed: 0, failed: 0, skipped: 0 };

const cluster = onCluster.length === 0 ? undefined : clusterForTests();
try {
  await buildAll();
  await runFiles(others, 2);
  if (cluster !== undefined) await runOnCluster(cluster);
} finally {
  await cluster?.end();
}
if (counts.passed === 0) process.exitCode = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);

async function runOnCluster(cluster: ClusterForTests): Promise<void> {
  const skip = await cluster.ready();
  if (skip !== undefined) {
    console.error(`No cluster: ${skip}`);
    process.env['AKSML_TEST_NO_CLUSTER'] = skip;
  }
  const beside = [...besideAttached, ...onCluster.filter((file) => !attached.includes(file))];
  await Promise.all([runFiles(attached, 1), runFiles(beside, 1)]);
}

async function runFiles(files: readonly string[], concurrency: number): Promise<void> {
  if (files.length === 0) return;
  const stream = run({ files: [...files], concurrency, timeout: 15 * 60_000, execArgv: [END_WITH_LAST_TEST] });
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite') return;
    if (event.skip !== undefined || event.todo !== undefined) counts.skipped += 1;
    else counts.passed += 1;
  });
  stream.on('test:fail', (event) => {
    if (event.details.type !== 'suite') counts.failed += 1;
    process.exitCode = 1;
  });
  for await (const text of stream.compose(spec())) process.stdout.write(String(text));
}
