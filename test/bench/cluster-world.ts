import { debianBaseImage } from '../../scripts/cluster/base-image.ts';
import { workloadName } from '../../src/cluster/names.ts';
import { openAttachWorld } from '../cluster/attached/attach-world.ts';
import { DEPLOY_TO_CLUSTER, writeClusterProject } from '../cluster/project.ts';
import { type ClusterWorld, testCluster } from '../cluster/world.ts';
import type { Outcome } from '../local/world.ts';

/** A world whose cluster is attached as `prod` while `work` runs; `attachSeconds` from the command to the controller that is ready. */
export async function withAttachedCluster(
  work: (world: ClusterWorld, attachSeconds: number) => Promise<void>,
): Promise<void> {
  const cluster = await testCluster();
  const base = await debianBaseImage();
  if ('skip' in cluster || 'skip' in base) throw new Error('skip' in cluster ? cluster.skip : 'no base image');
  const cleanups: (() => Promise<void>)[] = [];
  const t = { after: (cleanup: () => Promise<void>) => void cleanups.unshift(cleanup) };
  try {
    const world = await openAttachWorld(t, cluster);
    await must(world, 'workspace', 'create', '-w', 'team', '--registry', world.registry);
    await world.write('.azureml/config.json', JSON.stringify({ workspace_name: 'team' }));
    const attach = ['computetarget', 'attach', 'kubernetes', '-n', 'prod', '--namespace', world.namespace];
    const started = performance.now();
    const reached = ['--cluster-purpose', 'DevTest', '--service-type', 'NodePort'];
    await must(world, ...attach, ...reached, '--controller-base', base.layout, '--yes');
    const seconds = (performance.now() - started) / 1000;
    t.after(async () => {
      await must(world, 'computetarget', 'detach', '-n', 'prod', '--yes');
    });
    await work(world, seconds);
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

/** Deploys the project, with this script unless it is its own, as a service; the name of its Deployment for kubectl. */
export async function deployService(world: ClusterWorld, name: string, script?: string): Promise<string> {
  await writeClusterProject(world);
  if (script !== undefined) await world.write('source/score.py', script);
  await must(world, 'model', 'register', '-n', 'weights', '-p', 'model');
  await must(world, ...DEPLOY_TO_CLUSTER, '-n', name, '-m', 'weights:1');
  return `deployment/${workloadName(name, name)}`;
}

export async function must(world: ClusterWorld, ...args: readonly string[]): Promise<Outcome> {
  const outcome = await world.aksml(...args);
  if (outcome.code !== 0) throw new Error(`${args.join(' ')}: ${outcome.stderr}`);
  return outcome;
}
