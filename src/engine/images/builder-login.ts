import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { EnvironmentDefinition } from '../../contract/environment.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Of docker's folder: where the daemon is that the user has chosen, and BuildKit. */
const KEPT_FOLDERS = ['contexts', 'cli-plugins'];

/**
 * Variables with which builders know the credentials of the environment's own registry, from files in `folder` that only this user can
 * read; everything else that docker is told by its own folder stays. Without such credentials, what the builder has stored itself.
 */
export async function builderLogin(
  environment: Variables,
  { docker }: EnvironmentDefinition,
  folder: string,
): Promise<Variables> {
  const { address, username, password } = docker.baseImageRegistry ?? {};
  if (address === undefined || username === undefined || password === undefined) return environment;
  const host = address.replace(/^https?:\/\//, '').split('/')[0] ?? '';
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  const login = join(folder, 'login');
  const file = join(folder, 'auth.json');
  await mkdir(login, { mode: 0o700 });
  await writeFile(file, JSON.stringify({ auths: { [host]: { auth } } }), { mode: 0o600 });
  const home = environment['HOME'] ?? environment['USERPROFILE'] ?? homedir();
  const own = environment['DOCKER_CONFIG'] || join(home, '.docker');
  for (const name of KEPT_FOLDERS) await symlink(join(own, name), join(login, name), 'junction');
  const configuration = withAuth(await readJson(join(own, 'config.json')), host, auth);
  await writeFile(join(login, 'config.json'), JSON.stringify(configuration), { mode: 0o600 });
  return { ...environment, DOCKER_CONFIG: login, REGISTRY_AUTH_FILE: file };
}

/** A credential store would be asked instead of the file, so none is named. */
function withAuth(configuration: Readonly<Record<string, unknown>>, host: string, auth: string): unknown {
  const { credsStore: _store, credHelpers, auths, ...rest } = configuration;
  const { [host]: _helper, ...helpers } = asObject(credHelpers);
  return { ...rest, credHelpers: helpers, auths: { ...asObject(auths), [host]: { auth } } };
}

async function readJson(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return asObject(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // As docker itself, which goes on without what it cannot read.
    return {};
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
