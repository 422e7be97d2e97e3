import { homedir, userInfo } from 'node:os';
import type { ComputeTarget } from '../contract/compute-target.ts';
import type { Engine } from '../engine/engine.ts';
import { dockerCredentials } from '../engine/registry/credentials.ts';
import { DistributionRegistry } from '../engine/registry/distribution.ts';
import { openWorkspace, type Workspace } from '../engine/workspace/workspace.ts';
import type { Home } from '../home/home.ts';
import type { GlobalOptions } from './global-options.ts';
import type { Host } from './host.ts';

export interface EngineRequest {
  readonly host: Host;
  readonly globals: GlobalOptions;
  readonly home: Home;
  readonly projectFolder: string;
  readonly target: ComputeTarget;
}

/** The engine as this process hosts it. */
export async function openEngine(
  request: EngineRequest,
): Promise<{ readonly engine: Engine; readonly workspace: Workspace }> {
  const { host, globals, home, projectFolder, target } = request;
  const workspace = await openWorkspace(home, {
    projectFolder,
    ...(globals.workspaceName === undefined ? {} : { name: globals.workspaceName }),
    ...(globals.resourceGroup === undefined ? {} : { resourceGroup: globals.resourceGroup }),
    ...(globals.subscriptionId === undefined ? {} : { subscriptionId: globals.subscriptionId }),
    openRegistry: (address) =>
      new DistributionRegistry(address, {
        fetch,
        credentials: dockerCredentials({ environment: host.environment, homeFolder: homedir() }),
      }),
  });
  const engine: Engine = {
    home,
    workspace,
    registry: workspace.registry,
    target,
    environment: host.environment,
    clock: () => new Date(),
    user: userName(host.environment),
    fetch,
    version: host.version,
  };
  return { engine, workspace };
}

function userName(environment: Host['environment']): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return environment['USER'] ?? environment['USERNAME'] ?? 'unknown';
  }
}
