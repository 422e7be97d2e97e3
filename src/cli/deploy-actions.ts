import type { DeploymentPlan } from '../contract/deployment.ts';
import { AksmlError } from '../contract/error.ts';
import * as deployment from '../engine/endpoints/deploy.ts';
import type { Engine } from '../engine/engine.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import {
  type BuildingOptions,
  buildOptionsOf,
  changing,
  configurationOf,
  type DeploymentOptions,
  type ModelOptions,
  modelReferences,
} from './deploying.ts';
import { readMetadata } from './metadata-file.ts';
import type { Cell, Result } from './result.ts';
import { endpointResult } from './service-view.ts';
import type { V2Description } from './v2-deployment.ts';

type DeployOptions = DeploymentOptions &
  ModelOptions &
  BuildingOptions & {
    readonly name: string;
    readonly description: string | undefined;
    readonly tag: Readonly<Record<string, string>> | undefined;
    readonly property: Readonly<Record<string, string>> | undefined;
    readonly overwrite: boolean | undefined;
    readonly noWait: boolean | undefined;
    readonly dryRun: boolean | undefined;
    readonly profileInput: string | undefined;
    readonly v2Deployment: string | undefined;
    readonly v2Endpoint: string | undefined;
  };

export async function deployModels(context: CommandContext, given: DeployOptions): Promise<Result> {
  const options = await withProfile(context, given);
  const ahead = lookAhead(context, options);
  const v2 = await v2Description(context, options);
  const configuration = v2?.configuration ?? (await configurationOf(context, options));
  const named = configuration.deployment?.computeTargetName;
  const begun = await ahead;
  const engine = begun?.engine ?? (await context.engine(options.computeTarget ?? (await knownTarget(context, named))));
  const request: deployment.DeployRequest = {
    name: options.name,
    models: begun?.models ?? [...((await modelReferences(context, engine, options)) ?? []), ...(v2?.models ?? [])],
    ...(begun === undefined ? {} : { surroundings: begun.surroundings }),
    configuration,
    overwrite: options.overwrite === true,
    wait: options.noWait !== true,
    build: buildOptionsOf(context, options),
    cwd: context.host.cwd,
    ...defined({
      description: options.description ?? v2?.description ?? v2?.endpointDescription,
      tags: options.tag ?? v2?.tags,
      properties: options.property,
    }),
  };
  if (options.dryRun) return planResult(await deployment.planDeployment(engine, request, context.run.signal));
  const endpoint = await changing(context, options.name, (run) => deployment.deploy(engine, request, run));
  const group = endpoint.spec.form === 'endpoint' ? 'endpoint realtime' : 'service';
  const note =
    endpoint.status?.state === 'Healthy'
      ? `Score a request: aksml ${group} run -n ${options.name} -d @input.json`
      : `See how it goes: aksml ${group} show -n ${options.name}`;
  return endpointResult(engine, endpoint, note);
}

interface Ahead {
  readonly engine: Engine;
  readonly models: readonly string[];
  readonly surroundings: Promise<deployment.Surroundings>;
}

/**
 * Begins to look around where the compute target is named by an option: the configuration is read, and Python checks the script, meanwhile.
 * What goes wrong is told later, after the problems of the configuration.
 */
function lookAhead(context: CommandContext, options: DeployOptions): Promise<Ahead> | undefined {
  const { computeTarget, v2Deployment } = options;
  const early = computeTarget === undefined || v2Deployment !== undefined ? undefined : begin(computeTarget);
  (early ?? context.session()).catch(() => {});
  return early;

  async function begin(target: string): Promise<Ahead> {
    const engine = await context.engine(target);
    const models = (await modelReferences(context, engine, options)) ?? [];
    const { cwd, signal } = context.host;
    const surroundings = deployment.lookAround(engine, { name: options.name, models, cwd }, signal);
    surroundings.catch(() => {});
    return { engine, models, surroundings };
  }
}

async function v2Description(context: CommandContext, options: DeployOptions): Promise<V2Description | undefined> {
  if (options.v2Deployment === undefined) return undefined;
  const { describedByV2 } = await import('./v2-deployment.ts');
  return describedByV2(context, options, options.v2Deployment, ['computeTarget']);
}

/** An option must be obeyed; a name in a file may be that of a cluster of v1's, which is not attached here. */
async function knownTarget(context: CommandContext, named: string | undefined): Promise<string | undefined> {
  if (named === undefined) return undefined;
  const targets = await (await context.session()).listTargets(context.run.signal);
  if (targets.some(({ name }) => name.toLowerCase() === named.toLowerCase())) return named;
  context.warn({
    severity: 'warning',
    code: 'computeTarget.notFound',
    path: 'computeTargetName',
    message: `There is no compute target ${JSON.stringify(named)}; it is deployed to local, this machine.`,
  });
  return undefined;
}

/** A plan with errors is printed like any other, and says with its exit code that it would be refused. */
function planResult(plan: DeploymentPlan): Result {
  const refused = plan.problems.some(({ severity }) => severity === 'error');
  const { scale, resources } = plan.settings;
  return {
    kind: 'value',
    value: plan,
    view: {
      kind: 'facts',
      facts: [
        ['Would', refused ? 'be refused' : `${plan.action} the ${plan.form} ${plan.name} on ${plan.target}`],
        ['Models', plan.models.join(', ')],
        ['Code', plan.code],
        ['Environment', plan.environment],
        ['Authentication', plan.settings.auth],
        ['Replicas', scale.kind === 'fixed' ? scale.replicas : `${scale.minReplicas} to ${scale.maxReplicas}`],
        ['Resources', `${resources.cpu} CPU, ${resources.memoryInGB} GB`],
        ...plan.problems.map(({ severity, message, remedy }): readonly [string, Cell] => [
          severity,
          [message, remedy].filter(Boolean).join(' '),
        ]),
      ],
    },
    ...(refused ? { exitCode: 2 } : {}),
  };
}

/** v1: what the profile recommends replaces CPU and memory, whatever files and options say. */
async function withProfile(context: CommandContext, options: DeployOptions): Promise<DeployOptions> {
  const { profileInput: file } = options;
  if (file === undefined) return options;
  const { recommendedCpu: cpuCores, recommendedMemoryInGB: memoryGb } = await readMetadata(
    context,
    file,
    '--profile-input',
  );
  if (typeof cpuCores === 'number' && typeof memoryGb === 'number') return { ...options, cpuCores, memoryGb };
  throw new AksmlError(
    'profile.noRecommendation',
    `The file ${JSON.stringify(file)} of --profile-input lacks recommendedCpu or recommendedMemoryInGB.`,
    {
      fault: 'input',
      subject: '--profile-input',
      remedy: 'Give a file that "model profile -t" wrote when it succeeded.',
    },
  );
}
