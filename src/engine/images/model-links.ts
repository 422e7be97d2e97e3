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

/** A relative symbolic link at `path`; both below the app root, `/`-separated. */
export interface ModelLink {
  readonly path: string;
  readonly target: string;
}

/**
 * v1's layout of models made of real folders and links to files, so that a script that walks the tree finds everything and equal models
 * are there once. `single`: the deployment has one model, and `AZUREML_MODEL_DIR` is its own folder.
 * @throws AksmlError `registry.corrupt` for a listing that would leave the folder
 */
export function modelLinks(
  models: readonly LinkedModel[],
  single: boolean,
): { readonly links: readonly ModelLink[]; readonly modelDir: string } {
  const [only] = models;
  return {
    links: models.flatMap(linksOf),
    modelDir: single && only ? modelFolder(only) : MODELS_FOLDER,
  };
}

/** `azureml-models/<name>/<version>` */
export function modelFolder(model: { readonly name: string; readonly version: number }): string {
  return `${MODELS_FOLDER}/${model.name}/${model.version}`;
}

function linksOf(model: LinkedModel): ModelLink[] {
  const folder = modelFolder(model);
  const tree = `${TREES_FOLDER}/${model.treeDigest.slice('sha256:'.length)}`;
  return model.files.map((file) => {
    if (!isBelow(file, model.basename)) throw strayFile(model, file);
    const path = `${folder}/${file}`;
    const up = '../'.repeat(path.split('/').length - 1);
    return { path, target: `${up}${tree}/${file}` };
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
