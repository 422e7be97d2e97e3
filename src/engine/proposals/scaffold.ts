import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { stringify } from 'yaml';
import type { ModelFormat, RecognizedModel } from '../../contract/proposal.ts';
import { runtimeFile } from '../environments/runtime-files.ts';

interface Recipe {
  /** Below `runtime/python/scaffolds`; absent where aksml's own scoring script is the better start. */
  readonly script?: string;
  /** The first one wrote the model, and is pinned to its version where that is known. */
  readonly packages: readonly string[];
}

const RECIPES: Readonly<Record<ModelFormat, Recipe>> = {
  'scikit-learn': { script: 'scikit-learn.py', packages: ['scikit-learn', 'joblib', 'numpy', 'pandas'] },
  pickle: { script: 'scikit-learn.py', packages: ['joblib', 'numpy', 'pandas'] },
  onnx: { script: 'onnx.py', packages: ['onnxruntime', 'numpy'] },
  torchscript: { script: 'torchscript.py', packages: ['torch', 'numpy'] },
  torch: { script: 'torch.py', packages: ['torch', 'numpy'] },
  keras: { script: 'keras.py', packages: ['tensorflow', 'numpy'] },
  'saved-model': { packages: ['tensorflow', 'numpy', 'pandas'] },
  'frozen-graph': { script: 'frozen-graph.py', packages: ['tensorflow', 'numpy'] },
  safetensors: { script: 'safetensors.py', packages: ['safetensors', 'numpy'] },
  xgboost: { script: 'xgboost.py', packages: ['xgboost', 'numpy'] },
  lightgbm: { script: 'lightgbm.py', packages: ['lightgbm', 'numpy'] },
  catboost: { script: 'catboost.py', packages: ['catboost', 'numpy'] },
  mlflow: { packages: [] },
};

/** A first `score.py` for a model; undefined where none is needed: MLflow and SavedModel folders say themselves how they are called. */
export async function scaffoldScript(model: RecognizedModel): Promise<string | undefined> {
  const { script } = RECIPES[model.format];
  if (script === undefined) return undefined;
  const text = await readFile(runtimeFile(`scaffolds/${script}`), 'utf8');
  return text.replace(/^MODEL = .*$/m, () => `MODEL = ${JSON.stringify(basename(model.path))}`);
}

/** The text of a conda environment file for a scaffolded script. `pythonVersion`: `MAJOR.MINOR`. */
export function scaffoldCondaFile(model: RecognizedModel, pythonVersion: string): string {
  const [writer, ...others] = [...RECIPES[model.format].packages, ...(model.libraries ?? [])];
  const pinned = writer === undefined ? [] : [pin(writer, model)];
  return condaFile(pythonFor(model, pythonVersion), [...pinned, ...others]);
}

/** The same for packages that a project lists elsewhere. */
export function condaFile(pythonVersion: string, packages: readonly string[]): string {
  return stringify({
    channels: ['conda-forge'],
    dependencies: [`python=${pythonVersion}`, { pip: ['azureml-defaults', ...packages] }],
  });
}

/** The newest Python that each scikit-learn was published for, from the oldest. */
const SCIKIT_LEARN_PYTHONS = [
  { before: [0, 22], minor: 7 },
  { before: [0, 24], minor: 8 },
  { before: [1, 0], minor: 9 },
  { before: [1, 1], minor: 10 },
  { before: [1, 3], minor: 11 },
  { before: [1, 4], minor: 12 },
] as const;

/** A model is loaded by the version that wrote it, and old versions exist for old Pythons only. `pythonVersion`: `MAJOR.MINOR`, as preferred. */
export function pythonFor({ format, frameworkVersion }: RecognizedModel, pythonVersion: string): string {
  if (format !== 'scikit-learn' || frameworkVersion === undefined) return pythonVersion;
  const [major = 0, minor = 0] = frameworkVersion.split('.').map(Number);
  const newest = SCIKIT_LEARN_PYTHONS.find(({ before: [a, b] }) => major < a || (major === a && minor < b))?.minor;
  return newest !== undefined && Number(pythonVersion.split('.')[1]) > newest ? `3.${newest}` : pythonVersion;
}

/** The version that a file names is its library's, but for ONNX, whose version is the file format's. */
function pin(library: string, { frameworkVersion: version }: RecognizedModel): string {
  return version === undefined || !/^\d+(\.\d+)+$/.test(version) ? library : `${library}==${version}`;
}
