import { parse } from 'yaml';
import type { CondaSpecification } from '../../contract/environment.ts';
import type { Problem } from '../../contract/problem.ts';
import { parseMatchSpec } from './conda-packages.ts';
import { comparePrefix, type PythonVersion, parsePythonVersion } from './python-version.ts';
import { parsePipLine } from './requirement.ts';

/** Where `MLmodel` notes what a model was saved with: flavor, key, and the package's name. */
const NOTED = [
  ['python_function', 'python_version', 'python'],
  ['sklearn', 'sklearn_version', 'scikit-learn'],
  ['xgboost', 'xgb_version', 'xgboost'],
  ['lightgbm', 'lgb_version', 'lightgbm'],
  ['pytorch', 'pytorch_version', 'torch'],
] as const;

/**
 * Where an MLflow model's `MLmodel` file says that it was saved with another Python or library than the model's environment names, to the
 * minor version. The environment is what is installed; a pickle of other versions often cannot be loaded there.
 */
export function mlflowContradictions(mlmodel: string, specification: CondaSpecification): Problem[] {
  const flavors = asObject(asObject(parse(mlmodel))['flavors']);
  const named = namedVersions(specification);
  return NOTED.flatMap(([flavor, key, name]) => {
    const saved = asObject(flavors[flavor])[key];
    const installed = named.get(name);
    if ((typeof saved !== 'string' && typeof saved !== 'number') || installed === undefined) return [];
    if (agree(parsePythonVersion(String(saved)), parsePythonVersion(installed))) return [];
    return [contradiction(name === 'python' ? 'Python' : name, String(saved), installed)];
  });
}

function agree(saved: PythonVersion, installed: PythonVersion): boolean {
  const digits = Math.min(saved.length, installed.length, 2);
  return comparePrefix(saved, installed.slice(0, digits)) === 0;
}

function contradiction(name: string, saved: string, installed: string): Problem {
  return {
    severity: 'warning',
    code: 'mlflow.contradiction',
    message: `The MLflow model was saved with ${name} ${saved}, and its environment names ${name} ${installed}, which is installed.`,
    remedy: "If the model cannot be loaded, save it anew, or correct the version in the model's conda.yaml.",
  };
}

/** Versions that are demanded exactly, or to a minor version. */
function namedVersions({ dependencies, pip }: CondaSpecification): Map<string, string> {
  const exact = /^={1,3}\s*([\d.]+?)(?:\.?\*)?$/;
  const conda = dependencies.map(parseMatchSpec).flatMap((spec) => (spec ? [[spec.name, spec.version] as const] : []));
  const fromPip = pip
    .map(parsePipLine)
    .flatMap((line) => (line.kind === 'requirement' ? [[line.name, line.specifier] as const] : []));
  const versions = new Map<string, string>();
  for (const [name, demand] of [...conda, ...fromPip]) {
    const version = exact.exec(demand.trim())?.[1];
    if (version !== undefined) versions.set(name === 'pytorch' ? 'torch' : name, version);
  }
  return versions;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
