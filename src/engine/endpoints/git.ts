import { spawn } from 'node:child_process';

/**
 * Git facts of a folder in v1's property names (`azureml.git.*`, `mlflow.source.git.*`), overridable by `AZUREML_GIT_*` as v1 allowed.
 * Empty outside a repository or without git. User names and passwords in the remote's URL are dropped.
 */
export async function gitProperties(
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Record<string, string>> {
  const [repository, branch, commit, status] = await Promise.all([
    git(folder, ['ls-remote', '--get-url']),
    git(folder, ['symbolic-ref', '--short', '--quiet', 'HEAD']),
    git(folder, ['rev-parse', 'HEAD']),
    git(folder, ['status', '--porcelain', '--untracked-files=no', '.']),
  ]);
  const facts = {
    repository_uri:
      environment['AZUREML_GIT_REPOSITORY_URI'] ?? (commit === undefined ? undefined : withoutCredentials(repository)),
    branch: environment['AZUREML_GIT_BRANCH'] ?? branch,
    commit: environment['AZUREML_GIT_COMMIT'] ?? commit,
    dirty:
      environment['AZUREML_GIT_DIRTY'] ??
      (commit === undefined || status === undefined ? undefined : status === '' ? 'False' : 'True'),
    build_id: environment['AZUREML_GIT_BUILD_ID'],
    build_uri: environment['AZUREML_GIT_BUILD_URI'],
  };
  const mlflow = { repoURL: facts.repository_uri, branch: facts.branch, commit: facts.commit };
  return Object.fromEntries([...prefixed('azureml.git', facts), ...prefixed('mlflow.source.git', mlflow)]);
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
