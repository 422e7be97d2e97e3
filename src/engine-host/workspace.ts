import type { WorkspaceView } from '../contract/engine-api.ts';
import { parseRegistryAddress } from '../engine/registry/image-reference.ts';
import {
  attachFolder,
  createWorkspace,
  deleteWorkspace,
  listWorkspaces,
  showWorkspace,
  type Workspace,
} from '../engine/workspace/workspace.ts';
import { registryOpener } from '../session/session.ts';
import type { HandlersOf } from './handler.ts';

export const WORKSPACE: HandlersOf<'workspace'> = {
  'workspace.list': (_, { host }) => listWorkspaces(host.home),
  'workspace.open': async (scope, { host }) => viewOf((await host.reopen(scope)).workspace),
  'workspace.create': async ({ name, registry }, { host }) => {
    if (registry !== undefined) parseRegistryAddress(registry);
    const wanted = { name, ...(registry === undefined ? {} : { registry }) };
    await createWorkspace(host.home, wanted, registryOpener(process.env));
    return showWorkspace(host.home, name);
  },
  'workspace.delete': async ({ name, force }, { host }) => {
    await deleteWorkspace(host.home, name, { force: force === true });
    return null;
  },
  'workspace.attachFolder': async ({ folder, ...workspace }) => ({ file: await attachFolder(folder, workspace) }),
};

function viewOf(workspace: Workspace): WorkspaceView {
  const { name, resourceGroup, subscriptionId, registry, folder, origin, notices } = workspace;
  return {
    name,
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
    ...(subscriptionId === undefined ? {} : { subscriptionId }),
    content: registry.location,
    isRemote: registry.location !== folder,
    origin,
    notices,
  };
}
