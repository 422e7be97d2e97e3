import { readFile } from 'node:fs/promises';
import { AksmlError } from '../../contract/error.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import { asStorageError } from '../registry/storage-error.ts';

/** Which workspace a metadata file speaks of; a local workspace that no Azure file names has no resource group. */
export interface MetadataWorkspace {
  readonly name: string;
  readonly resourceGroup?: string;
}

/** Writes what v1's `model register -t` wrote, for `model deploy -f` to read. */
export async function writeModelMetadata(file: string, modelId: string, workspace: MetadataWorkspace): Promise<void> {
  const content = {
    modelId,
    workspaceName: workspace.name,
    resourceGroupName: workspace.resourceGroup ?? null,
  };
  await writeFileAtomic(file, `${JSON.stringify(content, undefined, 2)}\n`, 0o644).catch((error: unknown) => {
    throw asStorageError(error, 'Writing the model metadata', file);
  });
}

/**
 * The model id of a file that `model register -t` wrote, which must be of this workspace, as v1 demanded.
 * @throws AksmlError `model.badMetadataFile` | `model.otherWorkspace`
 */
export async function readModelMetadata(file: string, workspace: MetadataWorkspace): Promise<string> {
  const content = await readObject(file);
  const { modelId, workspaceName, resourceGroupName } = content;
  if (typeof modelId !== 'string' || typeof workspaceName !== 'string') {
    throw badFile(file, 'it lacks "modelId" or "workspaceName"');
  }
  const otherGroup =
    typeof resourceGroupName === 'string' &&
    workspace.resourceGroup !== undefined &&
    resourceGroupName !== workspace.resourceGroup;
  if (workspaceName !== workspace.name || otherGroup) {
    throw new AksmlError(
      'model.otherWorkspace',
      `${file} names a model of the workspace ${workspaceName}, but this is ${workspace.name}.`,
      {
        fault: 'input',
        subject: file,
        remedy: `Name the workspace (-w ${workspaceName}), or register the model here.`,
      },
    );
  }
  return modelId;
}

async function readObject(file: string): Promise<Record<string, unknown>> {
  let content: unknown;
  try {
    content = JSON.parse((await readFile(file, 'utf8')).replace(/^\uFEFF/, ''));
  } catch (error) {
    throw badFile(file, error instanceof Error ? error.message : 'it cannot be read');
  }
  if (typeof content !== 'object' || content === null) throw badFile(file, 'it is not a JSON object');
  return content as Record<string, unknown>;
}

function badFile(file: string, why: string): AksmlError {
  return new AksmlError('model.badMetadataFile', `${file} is not a model metadata file: ${why}.`, {
    fault: 'input',
    subject: file,
    remedy: 'Write it with `aksml model register -t FILE`.',
  });
}
