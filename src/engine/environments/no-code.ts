import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CondaSpecification, EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Model } from '../../contract/model.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Revision } from '../../contract/revision.ts';
import type { Engine } from '../engine.ts';
import type { ReadModelFile } from './mlflow.ts';
import { runtimeFile } from './runtime-files.ts';

export type NoCodeFramework = NonNullable<Revision['noCode']>;

/** What stands in for the scoring script and the environment that the user did not give. */
export interface NoCodeDeployment {
  readonly framework: NoCodeFramework;
  /** Absolute path of aksml's own scoring script, a single file. */
  readonly entryScript: string;
  readonly definition: EnvironmentDefinition;
  /** Warnings. */
  readonly problems: readonly Problem[];
}

/**
 * The scoring script and environment for a model of v1's no-code frameworks, or for an MLflow model.
 * @throws AksmlError `noCode.unsupported` | `mlflow.invalid` | `registry.*`
 */
export async function noCodeDeployment(engine: Engine, model: Model): Promise<NoCodeDeployment> {
  const framework = noCodeFramework(model);
  if (framework === undefined) {
    throw new AksmlError(
      'noCode.unsupported',
      `The framework ${model.framework} of ${model.id} cannot be served without a scoring script.`,
      {
        fault: 'input',
        subject: model.id,
        remedy:
          'Give an inference configuration, or register the model with the framework ScikitLearn, Onnx or TensorFlow.',
      },
    );
  }
  const environment = await environmentOf(framework, model, async () => {
    const { materializeModel } = await import('../models/materialize.ts');
    return materializeModel(engine, model);
  });
  return { framework, entryScript: runtimeFile('no_code.py'), ...environment };
}

/** What {@link noCodeDeployment} says of its definition, also of a model that is not registered yet. `folder`: of its files. */
export async function noCodeEnvironment(
  model: NoCodeModel,
  folder: () => Promise<string>,
): Promise<Pick<NoCodeDeployment, 'definition' | 'problems'> | undefined> {
  const framework = noCodeFramework(model);
  return framework === undefined ? undefined : environmentOf(framework, model, folder);
}

type NoCodeModel = Pick<Model, 'framework' | 'frameworkVersion' | 'isMlflow'>;

async function environmentOf(
  framework: NoCodeFramework,
  model: NoCodeModel,
  folder: () => Promise<string>,
): Promise<Pick<NoCodeDeployment, 'definition' | 'problems'>> {
  const { specification, problems } = await specificationOf(framework, model, folder);
  return { definition: noCodeDefinition(framework, specification), problems };
}

/** Undefined for a model that needs a scoring script of its own. An `MLmodel` file counts more than the framework. */
export function noCodeFramework(model: Pick<Model, 'framework' | 'isMlflow'>): NoCodeFramework | undefined {
  if (model.isMlflow) return 'MLflow';
  switch (model.framework) {
    case 'ScikitLearn':
    case 'Onnx':
    case 'TensorFlow':
      return model.framework;
    case 'Custom':
    case 'TfKeras':
    case 'PyTorch':
    case 'Multi':
      return undefined;
    default:
      return model.framework satisfies never;
  }
}

async function specificationOf(
  framework: NoCodeFramework,
  model: NoCodeModel,
  folder: () => Promise<string>,
): Promise<{ readonly specification: CondaSpecification; readonly problems: readonly Problem[] }> {
  if (framework !== 'MLflow')
    return { specification: frameworkSpecification(framework, model.frameworkVersion), problems: [] };
  // With the libraries that unpack models and read YAML, which no other deployment needs.
  const [path, { mlflowSpecification }, { mlflowContradictions }] = await Promise.all([
    folder(),
    import('./mlflow.ts'),
    import('./mlflow-contradictions.ts'),
  ]);
  const read: ReadModelFile = (name) => readFile(join(path, name), 'utf8').catch(() => undefined);
  const specification = await mlflowSpecification(read);
  const mlmodel = await read('MLmodel');
  return { specification, problems: mlmodel === undefined ? [] : mlflowContradictions(mlmodel, specification) };
}

/** v1 pinned the framework that trained the model; ONNX is the exception, whose version is that of the file format. */
export function frameworkSpecification(
  framework: Exclude<NoCodeFramework, 'MLflow'>,
  frameworkVersion: string | undefined,
): CondaSpecification {
  const pin = frameworkVersion === undefined ? '' : versionPin(frameworkVersion);
  const packages = {
    ScikitLearn: [`scikit-learn${pin}`, 'joblib', 'numpy', 'pandas'],
    Onnx: ['onnxruntime', 'numpy', 'pandas'],
    TensorFlow: [`tensorflow${pin}`, 'numpy', 'pandas'],
  } as const;
  return { channels: [], dependencies: [], pip: packages[framework] };
}

/** `1.5` stands for its bug-fix releases, too; `1.5.2` is meant exactly. */
function versionPin(version: string): string {
  const text = version.trim();
  if (!/^\d+(\.\d+)*([a-z]+\d+)?$/.test(text)) return '';
  return text.split('.').length < 3 && /^[\d.]+$/.test(text) ? `==${text}.*` : `==${text}`;
}

export function noCodeDefinition(
  framework: NoCodeFramework,
  condaDependencies: CondaSpecification,
): EnvironmentDefinition {
  return {
    environmentVariables: { AKSML_NO_CODE: framework },
    secretEnvironmentVariables: [],
    python: { userManagedDependencies: false, condaDependencies },
    docker: { platform: { os: 'Linux', architecture: 'amd64' }, arguments: [], enableGpu: false },
  };
}
