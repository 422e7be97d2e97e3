import type { DeploymentSpec } from '../../contract/deployment.ts';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Revision } from '../../contract/revision.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Engine } from '../engine.ts';
import { NO_ENVIRONMENT } from '../environments/no-environment.ts';
import type { BaseImage } from '../images/base-image.ts';
import type { BuildRequest } from './build.ts';
import type { ClusterFacts } from './cluster-facts.ts';
import type { ResolvedModels } from './models.ts';

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

/** What a version is to be made of. */
export interface ArchitectureFacts {
  readonly configuration: Pick<Configuration, 'inference' | 'valid'>;
  readonly deployment: Pick<DeploymentSpec, 'container' | 'containerEnvironment'>;
  readonly resolved: Pick<ResolvedModels, 'registered' | 'paths'>;
  /** Whose environment, or container, an update keeps that names no other. */
  readonly kept?: Pick<Revision, 'environment' | 'container' | 'noCode'>;
}

export interface ArchitectureJudgement {
  readonly problems: readonly Problem[];
  /** What had to be found out for it, for the build that follows. */
  readonly found: Pick<BuildRequest, 'architectures' | 'known'>;
}

/**
 * On which nodes of a cluster the version can run: by what its environment says and, where that leaves a choice, by what its base image is for.
 * A registry is asked for a base image only then.
 */
export async function judgeArchitecture(
  engine: Engine,
  facts: ArchitectureFacts,
  cluster: ClusterFacts | undefined,
  signal?: AbortSignal,
): Promise<ArchitectureJudgement> {
  const nodes = cluster?.status.architectures;
  if (cluster === undefined || nodes === undefined) return { problems: [], found: {} };
  // What cannot be read here stops the build, which says why.
  const definition =
    nodes.length === 0 ? undefined : await definitionOf(engine, facts, nodes, signal).catch(() => undefined);
  if (definition === undefined) return { problems: [], found: { architectures: nodes } };
  const image = (facts.deployment.container ?? facts.kept?.container)?.image;
  const { problems, base } = await judge(engine, definition, image, cluster, nodes, signal);
  const known = { definition, ...(base === undefined ? {} : { base }) };
  return { problems, found: { architectures: nodes, known } };
}

/** Undefined where nothing is known of it, or nothing depends on it. */
async function definitionOf(
  engine: Engine,
  { configuration: { inference, valid }, deployment, resolved, kept }: ArchitectureFacts,
  nodes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<EnvironmentDefinition | undefined> {
  const { container, containerEnvironment } = deployment;
  const source = container === undefined ? inference?.environment : containerEnvironment;
  if (source !== undefined) {
    const { resolveDefinition } = await import('./recipe.ts');
    return resolveDefinition(engine, source, signal);
  }
  if (container !== undefined) return NO_ENVIRONMENT;
  if (kept !== undefined && kept.noCode === undefined) return kept.environment.definition;
  // An environment of aksml's own chooses nothing.
  if (!valid || nodes.every((node) => node === DEFAULT_ARCHITECTURE)) return undefined;
  return noCodeDefinitionOf(engine, resolved);
}

/** Of an MLflow model it is written in its files, which the build reads as well. */
async function noCodeDefinitionOf(
  engine: Engine,
  { registered, paths }: ArchitectureFacts['resolved'],
): Promise<EnvironmentDefinition | undefined> {
  const [model] = registered;
  const [path] = paths;
  if (registered.length + paths.length !== 1) return undefined;
  const [{ noCodeEnvironment }, { materializeModel }] = await Promise.all([
    import('../environments/no-code.ts'),
    import('../models/materialize.ts'),
  ]);
  const environment = model
    ? noCodeEnvironment(model, () => materializeModel(engine, model))
    : path && noCodeEnvironment({ framework: 'Custom', isMlflow: path.isMlflow }, async () => path.path);
  return (await environment)?.definition;
}

async function judge(
  engine: Engine,
  definition: EnvironmentDefinition,
  image: string | undefined,
  { record }: ClusterFacts,
  nodes: readonly string[],
  signal: AbortSignal | undefined,
): Promise<{ readonly problems: readonly Problem[]; readonly base?: BaseImage | undefined }> {
  const stated = definition.docker.platform.architecture;
  const [wished, ...others] = architecturesFor(definition, nodes);
  if (wished === stated && others.length === 0) {
    return { problems: nodes.includes(stated) ? [] : [unfit(stated, nodes, record.name)] };
  }
  try {
    const base = await baseOf(engine, definition, image, nodes, signal);
    // What is built for a Dockerfile is for what the environment names.
    return { problems: judgeImage(base?.config.architecture ?? stated, nodes, record.name), base };
  } catch (error) {
    if (!AksmlError.is(error, 'image.wrongPlatform')) return { problems: [] };
    const { message } = error;
    const remedy = `Name a base image for ${nodes.join(' or ')}, which the nodes of ${record.name} are.`;
    return {
      problems: [
        { severity: 'error', code: 'cluster.architecture', path: 'environment.docker.baseImage', message, remedy },
      ],
    };
  }
}

/** Undefined where a container builder makes it. */
export async function baseOf(
  engine: Engine,
  definition: EnvironmentDefinition,
  image: string | undefined,
  nodes: readonly string[] | undefined,
  signal: AbortSignal | undefined,
): Promise<BaseImage | undefined> {
  const [{ planForImage }, { needsBuilder }, { findBase }] = await Promise.all([
    import('../images/image-request.ts'),
    import('../images/docker-steps.ts'),
    import('../images/image-base.ts'),
  ]);
  const plan = planForImage(definition);
  if (needsBuilder(definition, plan)) return undefined;
  const architectures = architecturesFor(definition, nodes);
  const request = { definition, architectures, ...(image === undefined ? {} : { base: image }) };
  return findBase(engine, request, plan, signal);
}

function judgeImage(architecture: string, nodes: readonly string[], name: string): readonly Problem[] {
  if (!nodes.includes(architecture)) return [unfit(architecture, nodes, name)];
  if (nodes.length === 1) return [];
  const message = `It runs on those nodes of ${name} that are ${architecture}: its base image is used for that, and others are ${nodes.filter((other) => other !== architecture).join(' and ')}.`;
  return [{ severity: 'notice', code: 'cluster.oneArchitecture', path: 'environment.docker.platform', message }];
}

/** No node can run what the environment is for. */
function unfit(architecture: string, nodes: readonly string[], name: string): Problem {
  return {
    severity: 'error',
    code: 'cluster.architecture',
    path: 'environment.docker.platform',
    message: `The environment is for ${architecture}, and the nodes of ${name} are ${nodes.join(' and ')}.`,
    remedy: `Set docker.platform of the environment to {"os": "Linux", "architecture": "${nodes[0]}"}.`,
  };
}
