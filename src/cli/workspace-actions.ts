import { AksmlError } from '../contract/error.ts';
import { parseRegistryAddress } from '../engine/registry/image-reference.ts';
import { openLayout } from '../engine/registry/layout.ts';
import { getRevision } from '../engine/revisions/revisions.ts';
import {
  createWorkspace as create,
  findWorkspace as find,
  listWorkspaces as list,
  refuseUnlessEmpty,
  deleteWorkspace as remove,
  showWorkspace as show,
  type Workspace,
  type WorkspaceRecord,
  attachFolder as writeFolder,
} from '../engine/workspace/workspace.ts';
import { registryOpener } from '../session/session.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { writeMetadataFile } from './metadata-file.ts';
import { NOTHING, type Result, valueResult } from './result.ts';

interface CreateOptions {
  readonly registry: string | undefined;
  readonly globalRegistry: string | undefined;
  readonly existOk: boolean | undefined;
  readonly outputMetadataFile: string | undefined;
}

export async function createWorkspace(context: CommandContext, options: CreateOptions): Promise<Result> {
  const { resourceGroup, subscriptionId } = context.globals;
  const name = namedWorkspace(context, 'create');
  const { registry, globalRegistry } = options;
  for (const address of [registry, globalRegistry]) if (address !== undefined) parseRegistryAddress(address);
  const wanted = defined({ name, resourceGroup, subscriptionId, registry, globalRegistry });
  const existing = options.existOk ? await find(context.home, name) : undefined;
  if (existing) refuseOther(existing, options);
  else await create(context.home, wanted, registryOpener(context.host.environment));
  const made = await show(context.home, name);
  const value = asValue(made);
  await writeMetadataFile(context, options.outputMetadataFile, value);
  return valueResult(value, {
    kind: 'facts',
    facts: [
      ['Name', made.name],
      ['Content', made.registry ?? made.folder],
      ...(made.globalRegistry === undefined ? [] : ([['Global registry', made.globalRegistry]] as const)),
    ],
    note: `Tie a project folder to it: aksml folder attach -w ${made.name}`,
  });
}

/** Content that is looked for in another place would not be found. */
function refuseOther(
  existing: WorkspaceRecord,
  { registry, globalRegistry }: Pick<CreateOptions, 'registry' | 'globalRegistry'>,
): void {
  if (globalRegistry !== undefined && existing.globalRegistry !== globalRegistry) {
    throw new AksmlError(
      'workspace.exists',
      `There is a workspace ${existing.name} already, ${existing.globalRegistry === undefined ? 'without a global registry' : `with the global registry ${existing.globalRegistry}`}.`,
      { fault: 'input', subject: '--global-registry', remedy: 'Choose another name, or leave --global-registry out.' },
    );
  }
  if (registry === undefined || existing.registry === registry) return;
  throw new AksmlError(
    'workspace.exists',
    `There is a workspace ${existing.name} already, and its content is in ${existing.registry ?? 'a folder of this machine'}.`,
    { fault: 'input', subject: '--registry', remedy: 'Choose another name, or leave --registry out.' },
  );
}

interface DeleteOptions {
  readonly force: boolean | undefined;
  readonly allResources: boolean | undefined;
  readonly yes: boolean | undefined;
}

export async function deleteWorkspace(context: CommandContext, options: DeleteOptions): Promise<Result> {
  const { home } = context;
  const { name, folder } = await show(home, namedWorkspace(context, 'delete'));
  const force = options.force === true || options.allResources === true;
  if (!force) await refuseUnlessEmpty(home, name);
  const services = force ? await servicesFrom(context, folder) : [];
  if (services.length > 0) {
    context.say(`With it goes the history of ${services.join(', ')}; what is deployed keeps running.`);
  }
  await context.confirm(`Delete the workspace ${name}${force ? ' and everything in it' : ''}?`, options.yes);
  await remove(home, name, { force });
  context.say(`The workspace ${name} is deleted.`);
  return NOTHING;
}

/** Services of this machine that were deployed from a workspace. */
async function servicesFrom(context: CommandContext, folder: string): Promise<string[]> {
  const registry = openLayout(context.home, folder);
  const names: string[] = [];
  for (const { metadata, spec } of await (await context.local()).listEndpoints(context.run.signal)) {
    for (const { name, revision } of spec.versions) {
      const known = await getRevision({ registry }, metadata.name, name, revision).catch((error: unknown) => {
        if (AksmlError.is(error)) return undefined;
        throw error;
      });
      if (known && !names.includes(metadata.name)) names.push(metadata.name);
    }
  }
  return names;
}

/** v1 listed the keys of the storage account and of the registry. */
export function listKeys(): never {
  throw new AksmlError(
    'workspace.noKeys',
    'A workspace on this machine has no keys: it is a folder of yours, or a registry that docker login knows.',
    {
      fault: 'input',
      remedy: 'For the keys of a service, see "aksml service get-keys -n NAME".',
    },
  );
}

function namedWorkspace({ globals }: CommandContext, command: string): string {
  if (globals.workspaceName !== undefined) return globals.workspaceName;
  throw new AksmlError('option.missing', 'No workspace is named: --workspace-name/-w is missing.', {
    fault: 'input',
    subject: '--workspace-name',
    remedy: `Name the workspace: aksml workspace ${command} -w NAME.`,
  });
}

function asValue(workspace: WorkspaceRecord & { folder: string }) {
  const { name, resourceGroup, subscriptionId, registry, globalRegistry, folder } = workspace;
  return {
    workspaceName: name,
    resourceGroup: resourceGroup ?? null,
    subscriptionId: subscriptionId ?? null,
    registry: registry ?? null,
    ...(globalRegistry === undefined ? {} : { globalRegistry }),
    folder,
  };
}

export async function listWorkspaces(context: CommandContext): Promise<Result> {
  const found = await list(context.home);
  return valueResult(found.map(asValue), {
    kind: 'rows',
    columns: ['NAME', 'RESOURCE GROUP', 'CONTENT'],
    rows: found.map(({ name, resourceGroup, registry, folder }) => [name, resourceGroup, registry ?? folder]),
    empty: 'There are no workspaces yet. The first command that stores something makes one.',
  });
}

export async function showWorkspace(context: CommandContext, metadataFile: string | undefined): Promise<Result> {
  const { workspaceName } = context.globals;
  // Looking at a workspace must not make one.
  if (workspaceName !== undefined) await show(context.home, workspaceName);
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
