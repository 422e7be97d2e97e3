import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import { followsRule, WORKSPACE_NAME } from '../../contract/names.ts';
import type { Problem } from '../../contract/problem.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { ensureFolder } from '../../home/folder.ts';
import type { Home } from '../../home/home.ts';
import { withLock } from '../../home/lock.ts';
import { allModels } from '../models/catalog.ts';
import { MODEL_REPOSITORIES } from '../models/record.ts';
import { putEmpty } from '../registry/empty.ts';
import { openLayout, withLayoutLock } from '../registry/layout.ts';
import { removeLeftovers, unfinishedName } from '../registry/leftover.ts';
import { MEDIA_TYPE, type Registry } from '../registry/registry.ts';
import { asStorageError } from '../registry/storage-error.ts';
import { findWorkspaceFile, readObject } from './discovery.ts';

/** What is kept of a workspace on this machine: `workspace.json` in its folder. */
export interface WorkspaceRecord {
  readonly name: string;
  /** `HOST[:PORT][/PREFIX]`; without one, the folder itself is the registry. */
  readonly registry?: string;
  /** `HOST[:PORT][/PREFIX]` of a registry whose environment images are taken over instead of being built. */
  readonly globalRegistry?: string;
  readonly subscriptionId?: string;
  readonly resourceGroup?: string;
}

/** Why this workspace and no other. */
export type WorkspaceOrigin =
  | { readonly kind: 'options' }
  | { readonly kind: 'file'; readonly file: string }
  /** Nothing names one. */
  | { readonly kind: 'default' };

export interface Workspace extends Omit<WorkspaceRecord, 'registry'> {
  readonly registry: Registry;
  /** `HOST[:PORT][/PREFIX]` of the registry; absent where the folder itself is it. */
  readonly address?: string;
  /** An OCI image layout with `workspace.json`. */
  readonly folder: string;
  readonly origin: WorkspaceOrigin;
  readonly notices: readonly Problem[];
}

export interface WorkspaceRequest {
  /** `--path`, absolute: where the search begins. */
  readonly projectFolder: string;
  /** `-w`, `-g`, `--subscription-id`. */
  readonly name?: string;
  readonly resourceGroup?: string;
  readonly subscriptionId?: string;
  /** Opens a registry that a workspace names. */
  readonly openRegistry: (address: string) => Registry;
}

export const DEFAULT_WORKSPACE = 'default';
const RECORD = 'workspace.json';
const LOCK = 'workspaces';

/**
 * The workspace of a project folder, made on first use: named by the options, else by the file that v1 would have found, else `default`.
 * Azure is not asked: a project that names an Azure workspace gets a local one of that name.
 * @throws AksmlError `workspace.badFile` | `workspace.badName`
 */
export async function openWorkspace(home: Home, request: WorkspaceRequest): Promise<Workspace> {
  const { wanted, origin, notices } = await chooseWorkspace(request);
  const { record, folder } = await ensureWorkspace(home, wanted);
  const address = wanted.registry ?? record.registry;
  const globalRegistry = wanted.globalRegistry ?? record.globalRegistry;
  return {
    ...wanted,
    name: record.name,
    ...given({ globalRegistry }),
    ...(address === undefined
      ? { registry: openLayout(home, folder) }
      : { registry: request.openRegistry(address), address }),
    folder,
    origin,
    notices: [...notices, ...otherAzureWorkspace(wanted, record)],
  };
}

interface Choice {
  readonly wanted: WorkspaceRecord;
  readonly origin: WorkspaceOrigin;
  readonly notices: readonly Problem[];
}

/** v1 let a file win over `-w` alone; here an option always wins, and says so when the file differs. */
async function chooseWorkspace(request: WorkspaceRequest): Promise<Choice> {
  const { name, resourceGroup, subscriptionId, projectFolder } = request;
  const options = given({ subscriptionId, resourceGroup });
  if (name !== undefined && resourceGroup !== undefined) {
    return { wanted: { name, ...options }, origin: { kind: 'options' }, notices: [] };
  }
  const found = await findWorkspaceFile(projectFolder);
  if (name !== undefined) {
    if (found?.name !== name) {
      const notices = found ? [differentFile(name, found.file, found.name)] : [];
      return { wanted: { name, ...options }, origin: { kind: 'options' }, notices };
    }
    const { file, notices, ...wanted } = found;
    return { wanted: { ...wanted, ...options }, origin: { kind: 'options' }, notices };
  }
  if (found) {
    const { file, notices, ...wanted } = found;
    return { wanted, origin: { kind: 'file', file }, notices };
  }
  const missing = await stat(projectFolder).then(
    () => [],
    () => [missingFolder(projectFolder)],
  );
  return { wanted: { name: DEFAULT_WORKSPACE }, origin: { kind: 'default' }, notices: missing };
}

/**
 * Makes a workspace on this machine, whose content is in its folder or in the registry named. That registry must be there, and let this
 * user read and write; what others keep in it already is in the workspace.
 * @throws AksmlError `workspace.exists` | `workspace.badName` | `registry.*`
 */
export async function createWorkspace(
  home: Home,
  wanted: WorkspaceRecord,
  openRegistry: (address: string) => Registry,
): Promise<WorkspaceRecord> {
  checkName(wanted.name);
  if (await findFolder(home, wanted.name)) {
    throw new AksmlError('workspace.exists', `There is a workspace ${wanted.name} already.`, {
      fault: 'input',
      subject: `workspace/${wanted.name}`,
      remedy: 'Use it, or choose another name.',
    });
  }
  if (wanted.registry !== undefined) await markRegistry(openRegistry(wanted.registry));
  return (await ensureWorkspace(home, wanted)).record;
}

const MARK = 'workspace';

/** Writes what says that a workspace is here, which only who may write can do. */
async function markRegistry(registry: Registry): Promise<void> {
  const empty = await putEmpty(registry, MARK);
  const artifactType = 'application/vnd.aksml.workspace.v1';
  const { manifest: mediaType } = MEDIA_TYPE;
  await registry.putManifest(
    MARK,
    { schemaVersion: 2, mediaType, artifactType, config: empty, layers: [empty] },
    { tag: 'v1' },
  );
}

/** By name. */
export async function listWorkspaces(home: Home): Promise<(WorkspaceRecord & { readonly folder: string })[]> {
  const names = await readdir(home.workspaces).catch(() => []);
  const visible = names.filter((name) => !name.startsWith('.'));
  const found = await Promise.all(visible.map((name) => readRecord(join(home.workspaces, name))));
  return found.filter((entry) => entry !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export async function findWorkspace(
  home: Home,
  name: string,
): Promise<(WorkspaceRecord & { readonly folder: string }) | undefined> {
  const folder = await findFolder(home, name);
  return folder === undefined ? undefined : readRecord(folder);
}

/** @throws AksmlError `workspace.notFound` */
export async function showWorkspace(home: Home, name: string): Promise<WorkspaceRecord & { readonly folder: string }> {
  const record = await findWorkspace(home, name);
  if (record) return record;
  const known = (await listWorkspaces(home)).map((workspace) => workspace.name);
  throw new AksmlError('workspace.notFound', `There is no workspace ${JSON.stringify(name)} on this machine.`, {
    fault: 'input',
    subject: `workspace/${name}`,
    remedy: known.length > 0 ? `There is ${known.join(', ')}.` : 'The first command that stores something makes one.',
  });
}

/**
 * Removes a workspace from this machine with everything in its folder. The content of a registry that it names stays.
 * @throws AksmlError `workspace.notFound` | `workspace.notEmpty`
 */
export async function deleteWorkspace(
  home: Home,
  name: string,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  const { folder, name: exact } = await showWorkspace(home, name);
  await withLock(home, LOCK, async () => {
    // Renamed first: half of a workspace must never be found under its name.
    const doomed = join(home.workspaces, unfinishedName());
    // Nobody can put something in between the look and the end.
    await withLayoutLock(home, folder, async () => {
      if (!options.force) await refuseUnlessEmpty(home, exact);
      await rename(folder, doomed);
    });
    await rm(doomed, { recursive: true, force: true });
    await removeLeftovers(home.workspaces);
  });
}

/** @throws AksmlError `workspace.notFound` | `workspace.notEmpty` */
export async function refuseUnlessEmpty(home: Home, name: string): Promise<void> {
  const { folder, name: exact } = await showWorkspace(home, name);
  if (await isEmpty(openLayout(home, folder))) return;
  throw new AksmlError(
    'workspace.notEmpty',
    `The workspace ${exact} holds models, environments, deployments or attached compute targets.`,
    {
      fault: 'input',
      subject: `workspace/${exact}`,
      remedy: 'Delete them first, or add --force: everything in the workspace is lost then.',
    },
  );
}

async function isEmpty(layout: Registry): Promise<boolean> {
  const repositories = await layout.listRepositories('');
  if (repositories.some((repository) => !repository.startsWith(MODEL_REPOSITORIES))) return false;
  return (await allModels({ registry: layout }, {})).length === 0;
}

/** Ties a folder to a workspace by `.azureml/config.json`, in the form that the Azure portal writes; other keys of the file stay. */
export async function attachFolder(folder: string, workspace: WorkspaceRecord): Promise<string> {
  checkName(workspace.name);
  const file = join(folder, '.azureml', 'config.json');
  const exists = await stat(file).then(
    () => true,
    () => false,
  );
  const {
    Id: _id,
    Scope: _scope,
    registry: _registry,
    global_registry: _global,
    ...kept
  } = exists ? (await readObject(file)).content : {};
  const content = {
    ...kept,
    subscription_id: workspace.subscriptionId ?? '',
    resource_group: workspace.resourceGroup ?? '',
    workspace_name: workspace.name,
    ...given({ registry: workspace.registry, global_registry: workspace.globalRegistry }),
  };
  try {
    await ensureFolder(join(folder, '.azureml'));
    await writeFileAtomic(file, `${JSON.stringify(content, undefined, 4)}\n`, 0o644);
  } catch (error) {
    throw asStorageError(error, 'Attaching the folder', folder);
  }
  return file;
}

async function ensureWorkspace(
  home: Home,
  wanted: WorkspaceRecord,
): Promise<{ readonly record: WorkspaceRecord; readonly folder: string }> {
  const name = wanted.name.normalize('NFC');
  checkName(name);
  const known = await findFolder(home, name);
  const record = known && (await readRecord(known));
  if (known && record) return { record, folder: known };
  return await withLock(home, LOCK, async () => {
    const folder = (await findFolder(home, name)) ?? join(home.workspaces, name);
    const made = await readRecord(folder);
    if (made) return { record: made, folder };
    const { subscriptionId, resourceGroup, registry, globalRegistry } = wanted;
    const fresh = { name, ...given({ subscriptionId, resourceGroup, registry, globalRegistry }) };
    await writeFileAtomic(join(folder, RECORD), `${JSON.stringify(fresh, undefined, 2)}\n`).catch((error: unknown) => {
      throw asStorageError(error, 'Making the workspace', folder);
    });
    return { record: fresh, folder };
  });
}

/** Names differ by more than letter case, in Azure and on file systems that do not tell cases apart. */
async function findFolder(home: Home, name: string): Promise<string | undefined> {
  const names = await readdir(home.workspaces).catch(() => []);
  const wanted = name.normalize('NFC').toLowerCase();
  const found = names.find((folder) => folder.normalize('NFC').toLowerCase() === wanted);
  return found === undefined ? undefined : join(home.workspaces, found);
}

async function readRecord(folder: string): Promise<(WorkspaceRecord & { readonly folder: string }) | undefined> {
  const text = await readFile(join(folder, RECORD), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { name, registry, globalRegistry, subscriptionId, resourceGroup } = JSON.parse(text) as WorkspaceRecord;
    return { name, ...given({ registry, globalRegistry, subscriptionId, resourceGroup }), folder };
  } catch (cause) {
    throw new AksmlError('workspace.damaged', `${join(folder, RECORD)} cannot be read.`, {
      subject: folder,
      remedy: 'Delete that one file: it is made anew, and the models beside it stay.',
      cause,
    });
  }
}

function checkName(name: string): void {
  if (followsRule(WORKSPACE_NAME, name)) return;
  throw new AksmlError('workspace.badName', `${JSON.stringify(name)} is not a valid workspace name.`, {
    fault: 'input',
    subject: name,
    remedy: `A workspace name has ${WORKSPACE_NAME.hint}.`,
  });
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(members: T): Given<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<T>;
}

function differentFile(name: string, file: string, other: string): Problem {
  return {
    severity: 'notice',
    code: 'workspace.differsFromFile',
    path: '--workspace-name',
    message: `The workspace ${name} is used although ${file} names ${other}; Azure Machine Learning v1 would have used the file's.`,
  };
}

function missingFolder(path: string): Problem {
  return {
    severity: 'warning',
    code: 'workspace.pathMissing',
    path: '--path',
    message: `${path} does not exist; the workspace "${DEFAULT_WORKSPACE}" is used.`,
  };
}

function otherAzureWorkspace(wanted: WorkspaceRecord, record: WorkspaceRecord): Problem[] {
  const differs = (['subscriptionId', 'resourceGroup'] as const).some(
    (key) => wanted[key] !== undefined && record[key] !== undefined && wanted[key] !== record[key],
  );
  if (!differs) return [];
  return [
    {
      severity: 'notice',
      code: 'workspace.sharedName',
      message: `The local workspace ${record.name} was made for another Azure workspace of that name (resource group ${record.resourceGroup}); both share it on this machine.`,
    },
  ];
}
