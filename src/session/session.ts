import { homedir, userInfo } from 'node:os';
import type { ComputeTarget } from '../contract/compute-target.ts';
import { AksmlError } from '../contract/error.ts';
import type { Engine } from '../engine/engine.ts';
import { dockerCredentials } from '../engine/registry/credentials.ts';
import { DistributionRegistry } from '../engine/registry/distribution.ts';
import { openWorkspace, type Workspace, type WorkspaceRequest } from '../engine/workspace/workspace.ts';
import type { Home } from '../home/home.ts';
import { type LocalTarget, openLocalTarget } from '../local/client.ts';

export interface SessionOptions {
  readonly home: Home;
  /** Of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of aksml. */
  readonly version: string;
  /** Executable and arguments that start the supervisor of the embedded target. */
  readonly supervisorCommand: readonly string[];
  readonly workspace: Omit<WorkspaceRequest, 'openRegistry'>;
}

/** A workspace with its compute targets, as one process works with them: where the engine meets the places that endpoints run in. */
export interface Session {
  readonly workspace: Workspace;
  /** The engine on a compute target; on this machine where none is named. @throws AksmlError `computeTarget.notFound` */
  engine(target?: string): Promise<Engine>;
}

export async function openSession(options: SessionOptions): Promise<Session> {
  const { home, environment, version } = options;
  const workspace = await openWorkspace(home, {
    ...options.workspace,
    openRegistry: (address) =>
      new DistributionRegistry(address, {
        fetch,
        credentials: dockerCredentials({ environment, homeFolder: homedir() }),
      }),
  });
  const user = userName(environment);
  const engineOn = (target: ComputeTarget): Engine => ({
    home,
    workspace,
    registry: workspace.registry,
    target,
    environment,
    clock: () => new Date(),
    user,
    fetch,
    version,
  });
  const local = localTarget(options);
  return {
    workspace,
    engine: async (target = local.name) => {
      if (target === local.name) return engineOn(local);
      throw new AksmlError('computeTarget.notFound', `There is no compute target ${JSON.stringify(target)}.`, {
        fault: 'input',
        subject: `computeTarget/${target}`,
        remedy: `There is ${local.name}.`,
      });
    },
  };
}

/** The compute target of this machine, which needs no workspace. */
export function localTarget({
  home,
  environment,
  supervisorCommand: command,
}: Pick<SessionOptions, 'home' | 'environment' | 'supervisorCommand'>): LocalTarget {
  return openLocalTarget({ home, environment, command, clock: () => new Date() });
}

function userName(environment: SessionOptions['environment']): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return environment['USER'] ?? environment['USERNAME'] ?? 'unknown';
  }
}
