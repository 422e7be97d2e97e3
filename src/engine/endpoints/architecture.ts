import type { DeploymentSpec } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Engine } from '../engine.ts';
import { NO_ENVIRONMENT } from '../environments/no-environment.ts';
import type { ClusterFacts } from './cluster-facts.ts';

/** Every environment of v1 names it, whether anybody has chosen it or not. */
const DEFAULT_ARCHITECTURE = 'amd64';

/**
 * For which machines an image may be, those that are wished first: as the environment says, and where that says nothing but the default, also
 * those that the cluster's nodes are. `nodes`: undefined where they are not known.
 */
export function architecturesFor(
  { docker: { platform } }: Pick<EnvironmentDefinition, 'docker'>,
  nodes: readonly string[] | undefined,
): readonly string[] {
  const stated = platform.architecture;
  if (stated !== DEFAULT_ARCHITECTURE || nodes === undefined || nodes.length === 0) return [stated];
  return nodes.includes(stated) ? [stated, ...nodes.filter((other) => other !== stated)] : nodes;
}

/**
 * Where nodes are of several architectures, or of another one than the environment names: on which of them the version can run, by what its
 * base image is for. Nothing is asked of a registry otherwise.
 */
export async function architectureProblems(
  engine: Engine,
  { inference }: Pick<Configuration, 'inference'>,
  { container, containerEnvironment }: Pick<DeploymentSpec, 'container' | 'containerEnvironment'>,
  cluster: ClusterFacts | undefined,
  signal?: AbortSignal,
): Promise<readonly Problem[]> {
  const nodes = cluster?.status.architectures ?? [];
  if (cluster === undefined || nodes.length === 0 || (container ?? inference) === undefined) return [];
  const source = container === undefined ? inference?.environment : containerEnvironment;
  // Of a registered one the build finds out.
  if (source?.kind === 'registered') return [];
  const definition = source?.definition ?? NO_ENVIRONMENT;
  const [wished, ...others] = architecturesFor(definition, nodes);
  if (others.length === 0 && wished === definition.docker.platform.architecture) return [];
  try {
    const architecture = await architectureOf(engine, definition, container?.image, nodes, signal);
    return judge(architecture, nodes, cluster);
  } catch (error) {
    if (!AksmlError.is(error, 'image.wrongPlatform')) return [];
    const { message } = error;
    const remedy = `Name a base image for ${nodes.join(' or ')}, which the nodes of ${cluster.record.name} are.`;
    return [{ severity: 'error', code: 'cluster.architecture', path: 'environment.docker.baseImage', message, remedy }];
  }
}

/** What is built for a Dockerfile is for what the environment names. */
async function architectureOf(
  engine: Engine,
  definition: EnvironmentDefinition,
  image: string | undefined,
  nodes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<string> {
  const [{ planForImage }, { needsBuilder }, { findBase }] = await Promise.all([
    import('../images/image-request.ts'),
    import('../images/docker-steps.ts'),
    import('../images/image-base.ts'),
  ]);
  const plan = planForImage(definition);
  if (needsBuilder(definition, plan)) return definition.docker.platform.architecture;
  const architectures = architecturesFor(definition, nodes);
  const request = { definition, architectures, ...(image === undefined ? {} : { base: image }) };
  return (await findBase(engine, request, plan, signal)).config.architecture;
}

function judge(architecture: string, nodes: readonly string[], { record }: ClusterFacts): readonly Problem[] {
  if (!nodes.includes(architecture)) return [unfit(architecture, nodes, record.name)];
  if (nodes.length === 1) return [];
  const message = `It runs on those nodes of ${record.name} that are ${architecture}: its base image is used for that, and others are ${nodes.filter((other) => other !== architecture).join(' and ')}.`;
  return [{ severity: 'notice', code: 'cluster.oneArchitecture', path: 'environment.docker.platform', message }];
}

/** No node can run what the environment is for. */
export function unfit(architecture: string, nodes: readonly string[], name: string): Problem {
  return {
    severity: 'error',
    code: 'cluster.architecture',
    path: 'environment.docker.platform',
    message: `The environment is for ${architecture}, and the nodes of ${name} are ${nodes.join(' and ')}.`,
    remedy: `Set docker.platform of the environment to {"os": "Linux", "architecture": "${nodes[0]}"}.`,
  };
}
