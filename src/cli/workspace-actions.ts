import { AksmlError } from '../contract/error.ts';
import { listWorkspaces as list, type Workspace, attachFolder as writeFolder } from '../engine/workspace/workspace.ts';
import type { CommandContext } from './context.ts';
import { writeMetadataFile } from './metadata-file.ts';
import { type Result, valueResult } from './result.ts';

export async function listWorkspaces(context: CommandContext): Promise<Result> {
  const found = await list(context.home);
  return valueResult(
    found.map(({ name, resourceGroup, subscriptionId, registry, folder }) => ({
      workspaceName: name,
      resourceGroup: resourceGroup ?? null,
      subscriptionId: subscriptionId ?? null,
      registry: registry ?? null,
      folder,
    })),
    {
      kind: 'rows',
      columns: ['NAME', 'RESOURCE GROUP', 'CONTENT'],
      rows: found.map(({ name, resourceGroup, registry, folder }) => [name, resourceGroup, registry ?? folder]),
      empty: 'There are no workspaces yet. The first command that stores something makes one.',
    },
  );
}

export async function showWorkspace(context: CommandContext, metadataFile: string | undefined): Promise<Result> {
  const workspace = await context.workspace();
  const value = {
    workspaceName: workspace.name,
    resourceGroup: workspace.resourceGroup ?? null,
    subscriptionId: workspace.subscriptionId ?? null,
    registry: workspace.registry.location,
    folder: workspace.folder,
    origin: workspace.origin,
  };
  await writeMetadataFile(context, metadataFile, value);
  return valueResult(value, {
    kind: 'facts',
    facts: [
      ['Name', workspace.name],
      ...(workspace.resourceGroup === undefined ? [] : ([['Resource group', workspace.resourceGroup]] as const)),
      ...(workspace.subscriptionId === undefined ? [] : ([['Subscription', workspace.subscriptionId]] as const)),
      ['Content', workspace.registry.location],
      ['Chosen by', describeOrigin(workspace)],
    ],
  });
}

function describeOrigin({ origin }: Workspace): string {
  switch (origin.kind) {
    case 'options':
      return 'the options of this command';
    case 'file':
      return origin.file;
    case 'default':
      return 'nothing: no option and no file names a workspace';
    default:
      return origin satisfies never;
  }
}

export async function attachFolder(context: CommandContext, metadataFile: string | undefined): Promise<Result> {
  const { workspaceName: name, resourceGroup, subscriptionId } = context.globals;
  if (name === undefined) {
    throw new AksmlError('option.missing', 'No workspace is named: --workspace-name/-w is missing.', {
      fault: 'input',
      subject: '--workspace-name',
      remedy: 'Name the workspace: aksml folder attach -w NAME.',
    });
  }
  const file = await writeFolder(context.projectFolder, {
    name,
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
    ...(subscriptionId === undefined ? {} : { subscriptionId }),
  });
  const value = {
    workspaceName: name,
    resourceGroup: resourceGroup ?? null,
    subscriptionId: subscriptionId ?? null,
    file,
  };
  await writeMetadataFile(context, metadataFile, value);
  return valueResult(value, {
    kind: 'facts',
    facts: [
      ['Workspace', name],
      ['Written', file],
    ],
  });
}
