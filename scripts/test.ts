import { glob } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { together } from '../src/parallel/parallel.ts';
import { buildAll } from './build.ts';
import { type ClusterForTests, clusterForTests } from './cluster/for-tests.ts';

/**
 * Builds, runs the test files named on the command line, else all of them, and ends with the line `N passed, N failed, N skipped`.
 * Two run at once. Those in `test/cluster/` run on a cluster that is brought up for them and ended again, unless one was up already. They
 * mostly wait for it: once it is up, one of those that attach it, of which there can be one at a time, and one of the rest run beside one
 * that needs no cluster.
 */
const patterns = process.argv.slice(2);
const files = (await Array.fromAsync(glob(patterns.length > 0 ? patterns : ['test/**/*.test.ts']))).sort();
const onCluster = files.filter((file) => file.startsWith('test/cluster/'));
const attached = onCluster.filter((file) => file.startsWith('test/cluster/attached/'));
const beside = onCluster.filter((file) => !attached.includes(file));
const others = files.filter((file) => !onCluster.includes(file));
/** A file that leaves a child process behind when its clean-up fails would not end by itself, and hold up all others. */
const END_WITH_LAST_TEST = '--test-force-exit';
/** What Node counts of each file is counted here of all. */
const NODES_COUNT = /^(tests|suites|pass|fail|cancelled|skipped|todo) \d+$/;
const counts = { passed: 0, failed: 0, skipped: 0 };

const cluster = onCluster.length === 0 ? undefined : clusterForTests();
try {
  await buildAll();
  await (cluster === undefined ? together(inTurn(others), inTurn(others)) : runWithCluster(cluster));
} finally {
  await cluster?.end();
}
if (counts.passed === 0) process.exitCode = 1;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);

async function runWithCluster(cluster: ClusterForTests): Promise<void> {
  let isSettled = false;
  const settled = untilSettled(cluster).finally(() => {
    isSettled = true;
  });
  const first = async () => {
    await inTurn(others, () => !isSettled);
    await settled;
    await inTurn(attached);
    await inTurn(others);
  };
  const third = async () => {
    await settled;
    await inTurn(beside);
    await inTurn(others);
  };
  await together(first(), inTurn(others), third());
}

/** Until the cluster is up, or is known to be none. */
async function untilSettled(cluster: ClusterForTests): Promise<void> {
  const skip = await cluster.ready();
  if (skip === undefined) return;
  console.error(`No cluster: ${skip}`);
  process.env['AKSML_TEST_NO_CLUSTER'] = skip;
}

/** Takes files from the queue, which others may take from, too, as long as it is wanted. */
async function inTurn(queue: string[], isWanted = () => true): Promise<void> {
  while (isWanted()) {
    const file = queue.shift();
    if (file === undefined) return;
    await runFile(file);
  }
}

/** What a file has to say is printed at once, when it has ended. */
async function runFile(file: string): Promise<void> {
  const events = await Array.fromAsync(run({ files: [file], timeout: 15 * 60_000, execArgv: [END_WITH_LAST_TEST] }));
  for (const { type, data } of events) {
    if (type === 'test:fail') process.exitCode = 1;
    if ((type !== 'test:pass' && type !== 'test:fail') || data.details.type === 'suite') continue;
    if (type === 'test:fail') counts.failed += 1;
    else if (data.skip !== undefined || data.todo !== undefined) counts.skipped += 1;
    else counts.passed += 1;
  }
  const told = events.filter(({ type, data }) => type !== 'test:diagnostic' || !NODES_COUNT.test(data.message));
  console.log(`\n${file}`);
  for await (const text of Readable.from(told).compose(spec())) process.stdout.write(String(text));
}
