import { spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { InferenceSpec } from '../../contract/deployment.ts';

/**
 * Git facts of the folder that code comes from, in v1's property names (`azureml.git.*`, `mlflow.source.git.*`), overridable by
 * `AZUREML_GIT_*` as v1 allowed. Empty outside a repository or without git. User names and passwords in the remote's URL are dropped.
 */
export async function gitProperties(
  { sourceDirectory, entryScript }: Pick<InferenceSpec, 'sourceDirectory' | 'entryScript'>,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string>> {
  const folder = sourceDirectory ?? dirname(entryScript);
  const isInside = environment['GIT_DIR'] !== undefined || (await isInRepository(resolve(folder)));
  const [repository, { branch, commit, dirty } = {}] = isInside
    ? await Promise.all([git(folder, ['ls-remote', '--get-url']), stateOf(folder)])
    : [];
  const facts = {
    repository_uri:
      environment['AZUREML_GIT_REPOSITORY_URI'] ?? (commit === undefined ? undefined : withoutCredentials(repository)),
    branch: environment['AZUREML_GIT_BRANCH'] ?? branch,
    commit: environment['AZUREML_GIT_COMMIT'] ?? commit,
    dirty:
      environment['AZUREML_GIT_DIRTY'] ??
      (commit === undefined || dirty === undefined ? undefined : dirty ? 'True' : 'False'),
    build_id: environment['AZUREML_GIT_BUILD_ID'],
    build_uri: environment['AZUREML_GIT_BUILD_URI'],
  };
  const mlflow = { repoURL: facts.repository_uri, branch: facts.branch, commit: facts.commit };
  return Object.fromEntries([...prefixed('azureml.git', facts), ...prefixed('mlflow.source.git', mlflow)]);
}

/** Git is a process, and most folders need none. */
async function isInRepository(folder: string): Promise<boolean> {
  const found = await stat(join(folder, '.git')).then(
    () => true,
    () => false,
  );
  const parent = dirname(folder);
  return found || (parent !== folder && isInRepository(parent));
}

interface GitState {
  readonly branch?: string;
  readonly commit?: string;
  /** Undefined where git cannot tell. */
  readonly dirty?: boolean;
}

/** Of HEAD, with whether tracked files below the folder were changed. */
async function stateOf(folder: string): Promise<GitState> {
  const status = await git(folder, ['status', '--porcelain=v2', '--branch', '--untracked-files=no', '.']);
  const lines = status?.split('\n') ?? [];
  const header = (name: string) => lines.find((line) => line.startsWith(`# ${name} `))?.slice(name.length + 3);
  const commit = header('branch.oid');
  const branch = header('branch.head');
  return {
    ...(commit === undefined || commit === '(initial)' ? {} : { commit }),
    ...(branch === undefined || branch === '(detached)' ? {} : { branch }),
    ...(status === undefined ? {} : { dirty: lines.some((line) => line !== '' && !line.startsWith('#')) }),
  };
}

function prefixed(prefix: string, facts: Readonly<Record<string, string | undefined>>): [string, string][] {
  return Object.entries(facts).flatMap(([key, value]) => (value ? [[`${prefix}.${key}`, value]] : []));
}

function withoutCredentials(url: string | undefined): string | undefined {
  if (!url?.includes('/')) return undefined;
  return url.replace(/^(\w+:\/\/)[^@/]*@/, '$1');
}

function git(folder: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('git', ['-C', folder, ...args], { stdio: ['ignore', 'pipe', 'ignore'], timeout: 10_000 });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.once('error', () => resolve(undefined));
    child.once('close', (code) => resolve(code === 0 ? output.trim() : undefined));
  });
}
