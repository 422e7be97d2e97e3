import { posix } from 'node:path';
import { APP_ROOT } from '../../contract/container.ts';
import { AksmlError } from '../../contract/error.ts';

/** v1's place of the registered files below the app root. */
export const MODELS_FOLDER = 'azureml-models';
/** Where the trees of models are below the app root: one for all models with the same files. */
const TREES_FOLDER = '.aksml/models';

export interface LinkedModel {
  readonly name: string;
  readonly version: number;
  readonly basename: string;
  /** `sha256:…` */
  readonly treeDigest: string;
  /** `/`-separated, each beginning with `basename`. */
  readonly files: readonly string[];
}

/** A relative symbolic link at `path`; both below the root of the image, `/`-separated, without a leading one. */
export interface ModelLink {
  readonly path: string;
  readonly target: string;
}

/** Where a deployment has its models. */
export interface ModelPlace {
  /** It has one model, and `AZUREML_MODEL_DIR` is that model's own folder. */
  readonly single: boolean;
  /** Absolute; instead of v1's place in the app root. */
  readonly mountPath?: string;
}

/**
 * v1's layout of models made of real folders and links to files, so that a script that walks the tree finds everything and equal models
 * are there once.
 * @throws AksmlError `registry.corrupt` for a listing that would leave the folder
 */
export function modelLinks(models: readonly LinkedModel[], place: ModelPlace): readonly ModelLink[] {
  return models.flatMap((model) => linksOf(model, folderOf(model, place).slice(1)));
}

/** `AZUREML_MODEL_DIR`, absolute. */
export function modelDir(models: readonly Pick<LinkedModel, 'name' | 'version'>[], mountPath?: string): string {
  const [only] = models;
  if (only && models.length === 1) return folderOf(only, { single: true, ...(mountPath ? { mountPath } : {}) });
  return mountPath ?? `${APP_ROOT}/${MODELS_FOLDER}`;
}

/** A mount path has one model itself, as v2 had it, and several by name and version. */
function folderOf(model: Pick<LinkedModel, 'name' | 'version'>, { single, mountPath }: ModelPlace): string {
  if (mountPath === undefined) return `${APP_ROOT}/${modelFolder(model)}`;
  return single ? mountPath : `${mountPath}/${model.name}/${model.version}`;
}

/** `azureml-models/<name>/<version>` */
export function modelFolder(model: { readonly name: string; readonly version: number }): string {
  return `${MODELS_FOLDER}/${model.name}/${model.version}`;
}

function linksOf(model: LinkedModel, folder: string): ModelLink[] {
  const tree = `${APP_ROOT.slice(1)}/${TREES_FOLDER}/${model.treeDigest.slice('sha256:'.length)}`;
  return model.files.map((file) => {
    if (!isBelow(file, model.basename)) throw strayFile(model, file);
    const path = `${folder}/${file}`;
    return { path, target: posix.relative(`/${posix.dirname(path)}`, `/${tree}/${file}`) };
  });
}

function isBelow(file: string, basename: string): boolean {
  const [first, ...rest] = file.split('/');
  return first === basename && rest.every((part) => part !== '' && part !== '.' && part !== '..');
}

function strayFile(model: LinkedModel, file: string): AksmlError {
  const id = `${model.name}:${model.version}`;
  return new AksmlError(
    'registry.corrupt',
    `The model ${id} lists the file "${file}", which is not in ${model.basename}.`,
    {
      subject: `model/${id}`,
      remedy: 'Register the model again from its source.',
    },
  );
}
