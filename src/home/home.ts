import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { ensureFolder } from './folder.ts';

/** Where everything of aksml on this machine lives: `AKSML_HOME`, else `~/.aksml`. Folders are made by their users, mode 0700. */
export interface Home {
  readonly root: string;
  /** One OCI image layout per local workspace: models, environments, revisions. */
  readonly workspaces: string;
  /** Installed environments, one folder per hash. */
  readonly environments: string;
  /** Tools that aksml fetched for itself, such as uv. */
  readonly tools: string;
  /** May be removed at any time. */
  readonly cache: string;
  /** Model trees unpacked for replicas, by tree digest, read-only. */
  readonly models: string;
  /** What a replica runs from: one app root per revision. */
  readonly bundles: string;
  /** Where this machine finds the credentials of attached clusters, and which of their commands may run. */
  readonly compute: string;
  /** What commands have handed over to a compute target whose end they have not seen. */
  readonly handOvers: string;
  /** The embedded target: supervisor, gateway, endpoints, secrets, replicas. */
  readonly local: string;
  readonly locks: string;
}

export function openHome(environment: Readonly<Record<string, string | undefined>>): Home {
  const root = resolve(environment['AKSML_HOME'] || join(homedir(), '.aksml'));
  return {
    root,
    workspaces: join(root, 'workspaces'),
    environments: join(root, 'environments'),
    tools: join(root, 'tools'),
    cache: join(root, 'cache'),
    models: join(root, 'models'),
    bundles: join(root, 'bundles'),
    compute: join(root, 'compute'),
    handOvers: join(root, 'hand-overs'),
    local: join(root, 'local'),
    locks: join(root, 'locks'),
  };
}

/**
 * Makes a folder of the home, and the home itself.
 * @throws AksmlError `home.unusable`
 */
export async function makeFolder(home: Home, folder: string): Promise<void> {
  try {
    await ensureFolder(folder, 0o700);
  } catch (error) {
    throw unusable(home, error);
  }
}

/** The home cannot be what it has to be: a folder of this user's that can be written, at a path that is not too long. */
export function unusable(home: Home, cause: unknown): AksmlError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new AksmlError('disk.full', `The disk that holds ${home.root} is full.`, {
      subject: home.root,
      remedy: 'Free some space there, or set AKSML_HOME to a folder on another disk, then run the command again.',
      cause,
    });
  }
  const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new AksmlError('home.unusable', `${home.root} cannot be the folder of aksml: ${reason}.`, {
    fault: 'input',
    subject: home.root,
    remedy: 'Set AKSML_HOME to a folder that can be written.',
    cause,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'it may not be written',
  EPERM: 'it may not be written',
  EROFS: 'its disk is read-only',
  ENOTDIR: 'a part of its path is a file',
  EEXIST: 'it is a file',
  ENAMETOOLONG: 'its path is too long',
  ENOENT: 'it cannot be made there',
};
