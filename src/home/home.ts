import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

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
    local: join(root, 'local'),
    locks: join(root, 'locks'),
  };
}
