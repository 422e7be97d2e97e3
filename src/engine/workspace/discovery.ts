import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';

/** What a project file says about the workspace. */
export interface WorkspaceFile {
  readonly file: string;
  readonly name: string;
  readonly resourceGroup?: string;
  readonly subscriptionId?: string;
  /** Our own optional key: `HOST[:PORT][/PREFIX]` of the registry that is the workspace. */
  readonly registry?: string;
  /** Our own optional key `global_registry`. */
  readonly globalRegistry?: string;
  readonly notices: readonly Problem[];
}

const SUBFOLDERS = ['.azureml', 'aml_config', ''] as const;
const FILES = ['config.json', 'project.json'] as const;

/**
 * The file that v1's `Workspace.from_config(path)` found: `start` itself if it is a file, else three nested loops, sub-folder outermost and
 * the climb to the root innermost, so that a far parent's `.azureml/config.json` beats `./config.json`. Unlike v1, a `config.json` or
 * `project.json` outside `.azureml` and `aml_config` that has none of the keys is some other program's, and passed over.
 * @throws AksmlError `workspace.badFile`
 */
export async function findWorkspaceFile(start: string): Promise<WorkspaceFile | undefined> {
  if (await isFile(start)) return await readWorkspaceFile(start);
  const folders = await climb(start);
  for (const subfolder of SUBFOLDERS) {
    for (const file of FILES) {
      for (const folder of folders) {
        const path = join(folder, subfolder, file);
        if (!(await isFile(path))) continue;
        if (subfolder === '' && !(await mentionsWorkspace(path))) continue;
        return await readWorkspaceFile(path);
      }
    }
  }
  return undefined;
}

/** From the folder to the root; a linked folder's parents are those of the real one, as in v1. */
async function climb(start: string): Promise<string[]> {
  const folders = [start];
  for (let folder = start; ; ) {
    const parent = dirname(await realpath(folder).catch(() => folder));
    if (parent === folder) return folders;
    folders.push(parent);
    folder = parent;
  }
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (status) => status.isFile(),
    () => false,
  );
}

async function mentionsWorkspace(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return /"(Scope|subscription_id|workspace_name)"/.test(text);
}

/** @throws AksmlError `workspace.badFile` */
export async function readWorkspaceFile(file: string): Promise<WorkspaceFile> {
  const { content, notices } = await readObject(file);
  const registry = textOf(content['registry']);
  const globalRegistry = textOf(content['global_registry']);
  const shared = {
    file,
    ...(registry === undefined ? {} : { registry }),
    ...(globalRegistry === undefined ? {} : { globalRegistry }),
  };
  if (content['Scope']) return { ...shared, ...fromScope(file, content['Scope']), notices };
  const name = textOf(content['workspace_name']);
  if (name === undefined) throw badFile(file, 'it has neither "Scope" nor a "workspace_name"');
  const subscriptionId = textOf(content['subscription_id']);
  const resourceGroup = textOf(content['resource_group']);
  const missing = ['subscription_id', 'resource_group'].filter((key) => !(key in content));
  return {
    ...shared,
    name,
    ...(subscriptionId === undefined ? {} : { subscriptionId }),
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
    notices: missing.length === 0 ? notices : [...notices, incomplete(file, missing)],
  };
}

/** The object of a workspace file with all its keys. @throws AksmlError `workspace.badFile` */
export async function readObject(
  file: string,
): Promise<{ readonly content: Readonly<Record<string, unknown>>; readonly notices: readonly Problem[] }> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw badFile(file, error.message);
  });
  const marked = text.startsWith('\uFEFF');
  let content: unknown;
  try {
    content = JSON.parse(marked ? text.slice(1) : text);
  } catch (error) {
    throw badFile(file, error instanceof Error ? error.message : String(error));
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw badFile(file, 'it is not a JSON object');
  }
  return { content: content as Record<string, unknown>, notices: marked ? [byteOrderMark(file)] : [] };
}

/** `/subscriptions/S/resourceGroups/G/providers/Microsoft.MachineLearningServices/workspaces/W`; v1 took the items by position. */
function fromScope(file: string, scope: unknown): { name: string; resourceGroup: string; subscriptionId: string } {
  const items = typeof scope === 'string' ? scope.split('/') : [];
  const [, , subscriptionId, , resourceGroup, , , , name] = items;
  if (!subscriptionId || !resourceGroup || !name) throw badFile(file, 'its "Scope" does not name a workspace');
  return { name, resourceGroup, subscriptionId };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function badFile(file: string, why: string): AksmlError {
  return new AksmlError('workspace.badFile', `${file} does not describe a workspace: ${why}.`, {
    fault: 'input',
    subject: file,
    remedy: 'Write it anew with "aksml folder attach -w NAME", or download config.json from the Azure portal.',
  });
}

function byteOrderMark(file: string): Problem {
  return {
    severity: 'notice',
    code: 'workspace.byteOrderMark',
    file,
    message: `${basename(file)} begins with a byte order mark, which Azure Machine Learning v1 could not read; it is ignored.`,
  };
}

function incomplete(file: string, missing: readonly string[]): Problem {
  return {
    severity: 'notice',
    code: 'workspace.incompleteFile',
    file,
    message: `${basename(file)} lacks ${missing.join(' and ')}, without which Azure Machine Learning v1 refused it; the name is enough here.`,
  };
}
