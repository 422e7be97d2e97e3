import { ANSWER } from '../local/world.ts';
import type { ClusterWorld } from './world.ts';

/** What a test deploys asks for little: one node has room for all of them. */
export const SETTINGS = {
  computeType: 'aks',
  numReplicas: 1,
  containerResourceRequirements: { cpu: 0.1, memoryInGB: 0.5 },
};

/** A v1 project whose environment is the scoring server alone, on the base image that the cluster has. */
export async function writeClusterProject(world: Pick<ClusterWorld, 'write' | 'cluster'>): Promise<void> {
  await world.write('source/score.py', ANSWER(1));
  await world.write('model/weights.txt', '42\n');
  const condaDependencies = { name: 'bare', dependencies: [{ pip: ['azureml-inference-server-http'] }] };
  const environment = { name: 'bare', python: { condaDependencies }, docker: { baseImage: world.cluster.baseImage } };
  await world.write(
    'inferenceconfig.json',
    JSON.stringify({ entryScript: 'score.py', sourceDirectory: 'source', environment }),
  );
  await world.write('deploymentconfig.json', JSON.stringify(SETTINGS));
}

/** Then `-n NAME -m MODEL`. */
export const DEPLOY_TO_CLUSTER = [
  ...['model', 'deploy', '-ct', 'prod'],
  ...['-ic', 'inferenceconfig.json', '-dc', 'deploymentconfig.json'],
] as const;
