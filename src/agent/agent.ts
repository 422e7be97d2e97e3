import { toStandardJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import type { EventOf, MethodName, ParamsOf, ResultOf } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import { describeEndpoint, describePlan, describeTarget, troubleshoot } from './description.ts';

/**
 * What a language model may do with aksml: the same tools for VS Code's language-model API and for the Model Context Protocol. They tell names,
 * URLs, states and causes; never a key, a token or the value of a variable.
 */

/** Asks the engine, wherever it runs. */
export type AskEngine = <M extends MethodName>(
  method: M,
  params: ParamsOf<M>,
  options: { readonly signal: AbortSignal; readonly onEvent?: (event: EventOf<M>) => void },
) => Promise<ResultOf<M>>;

export interface AgentCall {
  readonly ask: AskEngine;
  /** Absolute: the project that relative paths start from. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

export interface AgentTool<Input = unknown> {
  readonly name: string;
  readonly title: string;
  /** For the model that chooses. */
  readonly description: string;
  readonly input: v.GenericSchema;
  /** Asked of the person before it runs; absent for what changes nothing. */
  readonly confirmation?: (input: Input, call: AgentCall) => Promise<string>;
  /** What the model is told. */
  run(input: Input, call: AgentCall): Promise<string>;
}

const optionalText = (description: string) => v.optional(v.pipe(v.string(), v.description(description)));
const TARGET = optionalText('Compute target; "local", this machine, by default.');
const NAME = v.pipe(v.string(), v.description('Name of the service or endpoint.'));

const DEPLOYMENT = v.object({
  name: NAME,
  models: v.pipe(
    v.array(v.string()),
    v.description('Registered models as NAME:VERSION or NAME, or absolute paths of model files to register first.'),
  ),
  inferenceConfigFile: optionalText('inferenceconfig.json; leave it out for models that are served without code.'),
  deploymentConfigFile: optionalText('deploymentconfig.json.'),
  target: TARGET,
  overwrite: v.optional(v.pipe(v.boolean(), v.description('Replace a service of that name.'))),
});

type Deployment = v.InferOutput<typeof DEPLOYMENT>;

const KINDS = ['endpoints', 'models', 'targets', 'environments'] as const;

const list: AgentTool<{ readonly kind: (typeof KINDS)[number]; readonly target?: string | undefined }> = {
  name: 'aksml_list',
  title: 'List what is deployed and registered',
  description:
    'Lists endpoints with their state and scoring URI, registered models, compute targets or environments of the aksml workspace of this project.',
  input: v.object({ kind: v.pipe(v.picklist(KINDS), v.description('What to list.')), target: TARGET }),
  run: async ({ kind, target = 'local' }, { ask, folder, signal }) => {
    switch (kind) {
      case 'endpoints':
        return lines((await ask('endpoint.list', { folder, target }, { signal })).map(describeEndpoint), 'endpoints');
      case 'models': {
        const models = await ask('model.list', { folder }, { signal });
        return lines(
          models.map(({ id, framework, size }) => `${id} (${framework}, ${size} bytes)`),
          'models',
        );
      }
      case 'targets': {
        const targets = await ask('target.list', { folder }, { signal });
        return lines(targets.map(describeTarget), 'compute targets');
      }
      case 'environments': {
        const environments = await ask('environment.list', { folder, latest: true }, { signal });
        return lines(
          environments.map(({ name, version }) => `${name}:${version}`),
          'environments',
        );
      }
      default:
        return kind satisfies never;
    }
  },
};

const plan: AgentTool<Deployment> = {
  name: 'aksml_plan',
  title: 'Plan a deployment',
  description:
    'Checks the configuration of a machine-learning deployment and says what deploying it would do, with every problem and its remedy. Changes nothing.',
  input: DEPLOYMENT,
  run: async (input, call) => describePlan(await planOf(input, call)),
};

const deploy: AgentTool<Deployment> = {
  name: 'aksml_deploy',
  title: 'Deploy a model',
  description:
    'Deploys models with their scoring script as an endpoint and waits until it is healthy. Plan it first. The person is asked before it runs.',
  input: DEPLOYMENT,
  confirmation: async (input, call) => describePlan(await planOf(input, call)),
  run: async (input, { ask, folder, signal }) => {
    const params = { folder, ...input, target: input.target ?? 'local', models: input.models.map(asModel) };
    return describeEndpoint(await ask('deployment.deploy', params, { signal }));
  },
};

const diagnose: AgentTool<{ readonly name: string; readonly target?: string | undefined }> = {
  name: 'aksml_troubleshoot',
  title: 'Find out why an endpoint is not healthy',
  description:
    'Tells the state of an endpoint, of its versions and replicas, the cause of what is wrong (with the traceback of the scoring script, if that failed) and what to do.',
  input: v.object({ name: NAME, target: TARGET }),
  run: async ({ name, target = 'local' }, { ask, folder, signal }) =>
    troubleshoot(await ask('endpoint.get', { folder, target, name }, { signal })),
};

export const AGENT_TOOLS: readonly AgentTool[] = [checked(list), checked(plan), checked(deploy), checked(diagnose)];

/** For `package.json` and for clients: JSON Schema of a tool's input. */
export function inputSchemaOf(tool: AgentTool): Readonly<Record<string, unknown>> {
  const { input } = toStandardJsonSchema(tool.input)['~standard'].jsonSchema;
  return input({ target: 'draft-07' });
}

function planOf(input: Deployment, { ask, folder, signal }: AgentCall) {
  const params = { folder, ...input, target: input.target ?? 'local', models: input.models.map(asModel) };
  return ask('deployment.plan', params, { signal });
}

function asModel(model: string): string | { readonly path: string } {
  return /^([\\/]|[A-Za-z]:[\\/])/.test(model) ? { path: model } : model;
}

function lines(texts: readonly string[], what: string): string {
  return texts.length === 0 ? `There are no ${what}.` : texts.join('\n');
}

/** Models make mistakes in arguments; they are told what is wrong, like people. */
function checked<Input>(tool: AgentTool<Input>): AgentTool {
  const parse = (given: unknown): Input => {
    const result = v.safeParse(tool.input, given);
    if (result.success) return result.output as Input;
    const [issue] = result.issues;
    throw new AksmlError('tool.badInput', `${v.getDotPath(issue) ?? 'The input'}: ${issue.message}.`, {
      fault: 'input',
      subject: tool.name,
    });
  };
  const { name, title, description, input, confirmation, run } = tool;
  return {
    name,
    title,
    description,
    input,
    ...(confirmation === undefined ? {} : { confirmation: async (given, call) => confirmation(parse(given), call) }),
    run: async (given, call) => run(parse(given), call),
  };
}
