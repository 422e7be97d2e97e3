import { parseArgs } from 'node:util';
import { type Cluster, clusterDown, clusterUp, findCluster, prepareCluster } from './cluster/cluster.ts';
import { ownParts, type UpOptions } from './cluster/own.ts';
import { openPlace } from './cluster/place.ts';

/** `npm run cluster up|down|status`: the Kubernetes that the tests use, for a person. */
const USAGE = 'Usage: npm run cluster up [-- --install] | down | status | prepare [-- --install]';
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { install: { type: 'boolean', default: false } },
});

const commands: Readonly<Record<string, () => Promise<void>>> = { prepare, up, down: clusterDown, status };
const command = commands[positionals[0] ?? ''];
if (command === undefined) {
  console.error(USAGE);
  process.exitCode = 2;
} else {
  await command();
}

async function up(): Promise<void> {
  const started = performance.now();
  const cluster = await clusterUp(options());
  if ('skip' in cluster) {
    console.error(`No cluster: ${cluster.skip}`);
    process.exitCode = 1;
    return;
  }
  console.log(describe(cluster));
  console.log(`up after ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function prepare(): Promise<void> {
  const failed = await prepareCluster(options());
  if (failed === undefined) return;
  console.error(`No cluster: ${failed.skip}`);
  process.exitCode = 1;
}

function options(): UpOptions {
  return { install: values.install, onProgress: (step) => console.error(step) };
}

async function status(): Promise<void> {
  const cluster = await findCluster();
  console.log(cluster === undefined ? 'No cluster is up.' : describe(cluster));
  for (const { name, pid, log } of await ownParts(openPlace())) {
    console.log(`${name.padEnd(24)} ${String(pid ?? '-').padStart(7)}  ${log}`);
  }
}

function describe({ kubeconfig, registry, baseImage }: Cluster): string {
  const base = baseImage === undefined ? [] : [`base image  ${baseImage}`];
  return [`kubeconfig  ${kubeconfig}`, `registry    ${registry}`, ...base].join('\n');
}
