import { parse } from 'yaml';
import type { CondaSpecification } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import { parsePipLine } from './requirement.ts';

/** A file of the model's folder by its name; undefined when it is not there. */
export type ReadModelFile = (name: string) => Promise<string | undefined>;

/**
 * The environment that an MLflow model brings: its `conda.yaml`, else `python_env.yaml` with `requirements.txt`, else the latter alone.
 * @throws AksmlError `mlflow.invalid`
 */
export async function mlflowSpecification(read: ReadModelFile): Promise<CondaSpecification> {
  const [mlmodel, conda, pythonEnv, requirements] = await Promise.all(
    ['MLmodel', 'conda.yaml', 'python_env.yaml', 'requirements.txt'].map(read),
  );
  const lines = requirements?.split(/\r?\n/) ?? [];
  if (conda !== undefined) return withServing(fromConda(asMapping('conda.yaml', conda), lines), mlmodel);
  const python = pythonEnv === undefined ? undefined : asMapping('python_env.yaml', pythonEnv)['python'];
  const dependencies = python === undefined ? [] : [`python=${String(python)}`];
  return withServing({ channels: [], dependencies, pip: lines }, mlmodel);
}

function fromConda(file: Readonly<Record<string, unknown>>, requirements: readonly string[]): CondaSpecification {
  const items = asList(file['dependencies']);
  const pip = items.flatMap((item) => (isMapping(item) ? asList(item['pip']).map(String) : []));
  return {
    channels: asList(file['channels']).map(String),
    dependencies: items.filter((item) => typeof item === 'string'),
    pip: pip.flatMap((line) =>
      /^(-r|--requirement)[ =]\s*requirements\.txt$/.test(line.trim()) ? requirements : [line],
    ),
  };
}

/** What our scoring script needs beside the model: pandas, and mlflow's small edition when the model does not name mlflow. */
function withServing(specification: CondaSpecification, mlmodel: string | undefined): CondaSpecification {
  const names = new Set(specification.pip.map(parsePipLine).flatMap((line) => ('name' in line ? [line.name] : [])));
  for (const dependency of specification.dependencies) names.add(/^[\w.-]+/.exec(dependency)?.[0] ?? '');
  const version = mlmodel === undefined ? undefined : asMapping('MLmodel', mlmodel)['mlflow_version'];
  const pin = typeof version === 'string' && /^\d+(\.\d+)+$/.test(version) ? `==${version}` : '';
  const mlflow = names.has('mlflow') || names.has('mlflow-skinny') ? [] : [`mlflow-skinny${pin}`];
  const pandas = names.has('pandas') ? [] : ['pandas'];
  return { ...specification, pip: [...specification.pip, ...mlflow, ...pandas] };
}

function asMapping(file: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = parse(text);
    if (isMapping(value)) return value;
  } catch (error) {
    throw invalid(file, error);
  }
  throw invalid(file, undefined);
}

function invalid(file: string, cause: unknown): AksmlError {
  const reason = cause instanceof Error ? `: ${cause.message.split('\n')[0]}` : '';
  return new AksmlError('mlflow.invalid', `The MLflow model's ${file} cannot be read${reason}.`, {
    fault: 'input',
    subject: file,
    remedy: 'Save the model anew with MLflow, or give an inference configuration with an environment of its own.',
    cause,
  });
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
