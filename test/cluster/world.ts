import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cluster, findCluster } from '../../scripts/cluster/cluster.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import { type Outcome, openWorld, outcomeOf, type World } from '../local/world.ts';

/** A namespace, a registry prefix, an AKSML_HOME and a project folder of one test's own, and the built command. */
export interface ClusterWorld extends World {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** The administrator's, whose context names the namespace. The command and kubectl find it in `KUBECONFIG`. */
  readonly kubeconfig: string;
  /** `HOST:PORT/PREFIX`, empty at first. */
  readonly registry: string;
  /** What kubectl printed; fails with what it said. */
  kubectl(...args: readonly string[]): Promise<string>;
  /** The same where failing is an answer. */
  tryKubectl(...args: readonly string[]): Promise<Outcome>;
  startKubectl(...args: readonly string[]): ChildProcess;
  /** Server-side apply of whole objects. */
  apply(...objects: readonly Readonly<Record<string, unknown>>[]): Promise<void>;
  /** Such as `get('deployment', 'web')`; undefined where there is none. */
  get<T extends KubeObject = KubeObject & Readonly<Record<string, unknown>>>(
    kind: string,
    name: string,
  ): Promise<T | undefined>;
  list<T extends KubeObject = KubeObject & Readonly<Record<string, unknown>>>(
    kind: string,
    selector?: string,
  ): Promise<readonly T[]>;
}

export interface ClusterWorldOptions {
  /** More variables for the command. */
  readonly variables?: NodeJS.ProcessEnv;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
}

/**
 * The cluster that tests run on, or why there is none. Where it is required (`AKSML_TEST_REQUIRE_CLUSTER`), having none is an error.
 * `npm test` brings one up for the files in this folder.
 */
export async function testCluster(): Promise<Cluster | { readonly skip: string }> {
  const cluster = await findCluster();
  if (cluster !== undefined) return cluster;
  const skip = process.env['AKSML_TEST_NO_CLUSTER'] ?? 'no cluster is up: `npm run cluster up`';
  if (process.env['AKSML_TEST_REQUIRE_CLUSTER']) throw new Error(`a cluster is required: ${skip}`);
  return { skip };
}

/** Ends with the test; the namespace is deleted in the background. */
export async function openClusterWorld(
  t: { after(work: () => Promise<void>): void },
  cluster: Cluster,
  options: ClusterWorldOptions = {},
): Promise<ClusterWorld> {
  const namespace = `test-${randomBytes(4).toString('hex')}`;
  const local = await openWorld({ ...options.variables });
  const kubeconfig = join(local.home, '..', 'kubeconfig');
  await writeFile(kubeconfig, await kubeconfigFor(cluster, namespace), { mode: 0o600 });
  local.environment['KUBECONFIG'] = kubeconfig;

  const startKubectl: ClusterWorld['startKubectl'] = (...args) =>
    spawn('kubectl', args, { env: local.environment, stdio: ['pipe', 'pipe', 'pipe'] });
  const kubectl: ClusterWorld['kubectl'] = (...args) => runKubectl(local.environment, args);
  const tryKubectl: ClusterWorld['tryKubectl'] = (...args) => outcomeOf(startKubectl(...args));
  await kubectl('create', 'namespace', namespace);
  t.after(async () => {
    await kubectl('delete', 'namespace', namespace, '--wait=false', '--ignore-not-found');
    await local.close();
  });
  for (const [name, value] of Object.entries(options.namespaceLabels ?? {})) {
    await kubectl('label', 'namespace', namespace, `${name}=${value}`);
  }
  return {
    ...local,
    cluster,
    namespace,
    kubeconfig,
    registry: `${cluster.registry}/${namespace}`,
    kubectl,
    tryKubectl,
    startKubectl,
    async apply(...objects) {
      const list = { apiVersion: 'v1', kind: 'List', items: objects };
      await runKubectl(
        local.environment,
        ['apply', '--server-side', '--force-conflicts', '-f', '-'],
        JSON.stringify(list),
      );
    },
    async get<T>(kind: string, name: string) {
      const text = await kubectl('get', kind, name, '--ignore-not-found', '--output', 'json');
      return text === '' ? undefined : (JSON.parse(text) as T);
    },
    async list<T>(kind: string, selector?: string) {
      const chosen = selector === undefined ? [] : ['--selector', selector];
      const { items } = JSON.parse(await kubectl('get', kind, ...chosen, '--output', 'json'));
      return items as readonly T[];
    },
  };
}

/** Waits until `condition` has an answer other than undefined or false, and returns it. `describe` tells what was there instead. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined | false>,
  options: { readonly timeoutMs?: number; readonly describe?: () => Promise<unknown> } = {},
): Promise<T> {
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  for (;;) {
    const answer = await condition();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) {
      const instead =
        options.describe === undefined ? '' : `: ${JSON.stringify(await options.describe(), undefined, 1)}`;
      throw new Error(`waited too long until ${what}${instead}`);
    }
    await sleep(100);
  }
}

async function kubeconfigFor(cluster: Cluster, namespace: string): Promise<string> {
  const args = [
    'config',
    'view',
    '--raw',
    '--flatten',
    '--minify',
    '--output',
    'json',
    '--kubeconfig',
    cluster.kubeconfig,
  ];
  const content = JSON.parse(await runKubectl(process.env, args));
  for (const { context } of content.contexts) context.namespace = namespace;
  return JSON.stringify(content);
}

function runKubectl(env: NodeJS.ProcessEnv, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile('kubectl', args, { env, maxBuffer: 1 << 28 }, (error, stdout) => {
      if (error) reject(error);
      else resolve(stdout.trim());
    });
    child.stdin?.end(input);
  });
}
