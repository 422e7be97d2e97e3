import { parseArgs } from 'node:util';
import { clusterDown, clusterUp, findCluster } from './cluster/cluster.ts';
import { describe, ownParts } from './cluster/own.ts';
import { openPlace } from './cluster/place.ts';

/** `npm run cluster up|down|status`: the Kubernetes that the tests use, for a person. */
const USAGE = 'Usage: npm run cluster up [-- --install] | down | status';
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { install: { type: 'boolean', default: false } },
});

const commands: Readonly<Record<string, () => Promise<void>>> = { up, down: clusterDown, status };
const command = commands[positionals[0] ?? ''];
if (command === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  await command();
}

async function up(): Promise<void> {
  const started = performance.now();
  const cluster = await clusterUp({ install: values.install, onProgress: (step) => console.error(step) });
  if ('skip' in cluster) {
    console.error(`No cluster: ${cluster.skip}`);
    process.exitCode = 1;
    return;
  }
  console.log(describe(cluster));
  console.log(`up after ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function status(): Promise<void> {
  const cluster = await findCluster();
  console.log(cluster === undefined ? 'No cluster is up.' : describe(cluster));
  for (const { name, pid, log } of await ownParts(openPlace())) {
    console.log(`${name.padEnd(24)} ${String(pid ?? '-').padStart(7)}  ${log}`);
  }
}
