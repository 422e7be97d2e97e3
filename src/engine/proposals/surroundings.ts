import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, sep } from 'node:path';

/** What a project already has for a model, paths absolute. */
export interface Surroundings {
  readonly inferenceConfig?: string;
  readonly deploymentConfig?: string;
  /** Defines `init()` and `run()`. */
  readonly entryScript?: string;
  /** A conda environment file, else a list of requirements, else a project file with dependencies. */
  readonly environment?: { readonly kind: 'conda' | 'requirements' | 'pyproject'; readonly path: string };
}

const LARGEST_TEXT = 1 << 20;
const MOST_ENTRIES = 5000;
const DEEPEST = 4;
const UNINTERESTING = new Set(['node_modules', '__pycache__', 'venv', 'env', 'site-packages', 'mlruns', 'outputs']);

const INFERENCE = /^inference[-_]?config\.(json|ya?ml)$/i;
const DEPLOYMENT = /^(?:aks[-_]?)?deployment[-_]?config(?:[-_]?aks)?\.(json|ya?ml)$/i;
const CONDA = /^(conda|env|environment|conda[-_](env|environment|dependencies))\.ya?ml$/i;
const REQUIREMENTS = /^requirements\.txt$/i;
const PYPROJECT = /^pyproject\.toml$/;

/**
 * Looks for the parts of a deployment in a project, nearest to the model first: its own folder, then those beside and above it.
 * Both paths are absolute, and the model is usually inside the project.
 */
export async function lookAround(model: string, project: string): Promise<Surroundings> {
  const files = await filesNear(model, project);
  const named = (pattern: RegExp) => files.find((file) => pattern.test(basename(file)));
  const inferenceConfig = named(INFERENCE);
  const deploymentConfig = named(DEPLOYMENT);
  const entryScript = await firstScoringScript(files);
  const near = entryScript === undefined ? files : nearest(files, dirname(entryScript));
  const environment = await findEnvironment(near);
  return {
    ...(inferenceConfig === undefined ? {} : { inferenceConfig }),
    ...(deploymentConfig === undefined ? {} : { deploymentConfig }),
    ...(entryScript === undefined ? {} : { entryScript }),
    ...(environment === undefined ? {} : { environment }),
  };
}

async function filesNear(model: string, project: string): Promise<string[]> {
  const files: string[] = [];
  const folders: (readonly [string, number])[] = [[project, 0]];
  for (let next = folders.shift(); next !== undefined && files.length < MOST_ENTRIES; next = folders.shift()) {
    const [folder, depth] = next;
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isFile()) files.push(path);
      else if (entry.isDirectory() && depth < DEEPEST && isInteresting(entry.name)) folders.push([path, depth + 1]);
    }
  }
  return nearest(files, dirname(model));
}

function isInteresting(folder: string): boolean {
  return !folder.startsWith('.') && !UNINTERESTING.has(folder);
}

/** By the number of steps from a folder; those equally near keep their order. */
function nearest(files: readonly string[], folder: string): string[] {
  const steps = new Map(files.map((file) => [file, relative(folder, dirname(file)).split(sep).filter(Boolean).length]));
  return [...files].sort((a, b) => (steps.get(a) ?? 0) - (steps.get(b) ?? 0));
}

async function firstScoringScript(files: readonly string[]): Promise<string | undefined> {
  const scripts = files.filter((file) => extname(file) === '.py');
  const likely = scripts.filter((file) => /scor|infer|predict|main|serve/i.test(basename(file)));
  for (const file of [...likely, ...scripts.filter((script) => !likely.includes(script))]) {
    const text = await readText(file);
    if (/^def init\s*\(/m.test(text) && /^(async\s+)?def run\s*\(/m.test(text)) return file;
  }
  return undefined;
}

async function findEnvironment(files: readonly string[]): Promise<Surroundings['environment']> {
  for (const path of files.filter((file) => CONDA.test(basename(file)))) {
    if (/^dependencies\s*:/m.test(await readText(path))) return { kind: 'conda', path };
  }
  const requirements = files.find((file) => REQUIREMENTS.test(basename(file)));
  if (requirements !== undefined) return { kind: 'requirements', path: requirements };
  for (const path of files.filter((file) => PYPROJECT.test(basename(file)))) {
    if (/^dependencies\s*=/m.test(await readText(path))) return { kind: 'pyproject', path };
  }
  return undefined;
}

async function readText(path: string): Promise<string> {
  const size = await stat(path).then(
    (status) => status.size,
    () => 0,
  );
  return size > LARGEST_TEXT ? '' : readFile(path, 'utf8').catch(() => '');
}
