import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { APP_ROOT } from '../../contract/container.ts';
import { AksmlError } from '../../contract/error.ts';
import type { CodeReference } from '../../contract/revision.ts';
import { type RunOptions, runStage } from '../endpoints/stages.ts';
import { runtimeFile, SERVER_FILES } from '../environments/runtime-files.ts';
import { downloadModel } from '../models/models.ts';
import { isAbsent } from '../registry/storage-error.ts';
import { SNAPSHOTS, takeSnapshot } from '../snapshot/snapshot.ts';
import { DOCKERFILE_MARK, dockerfile, setupFiles } from './dockerfile.ts';
import {
  imageReference,
  imageVariables,
  type PackageRequest,
  type PackageStore,
  planForImage,
} from './image-request.ts';
import { modelFolder } from './model-links.ts';
import { writeAside } from './output-place.ts';
import { unpackLayer } from './unpack-layer.ts';

/**
 * Writes v1's package: a Dockerfile with its context, for `docker build`, `podman build` or `buildah build`. The folder appears whole or
 * not at all; an earlier context there is replaced.
 * @throws AksmlError `package.targetExists` | `package.unsupported` | `environment.invalid` | what snapshot and models throw
 */
export async function packageBuildContext(
  store: PackageStore,
  request: PackageRequest,
  options: RunOptions = {},
): Promise<{ readonly folder: string; readonly files: number }> {
  const folder = resolve(request.outputPath);
  await refuseForeign(folder);
  const plan = planForImage(request.definition);
  const { variables, problems } = imageVariables(plan, request.definition);
  for (const problem of [...plan.problems, ...problems]) options.onProgress?.({ type: 'problem', problem });
  return writeAside(folder, 'Writing the build context', async (temporary) => {
    const app = join(temporary, 'azureml-app');
    await mkdir(app, { recursive: true });
    const code = await copyCode(store, request, app, options);
    await copyModels(store, request, app, options);
    await runStage('image', 'Writing the Dockerfile', options, async () => {
      const setup = join(temporary, 'azureml-environment-setup');
      await mkdir(setup);
      for (const [name, content] of setupFiles(plan, request.definition)) await writeFile(join(setup, name), content);
      for (const name of SERVER_FILES) await copyFile(runtimeFile(name), join(setup, name));
      const parts = { request, plan, variables, code, reference: imageReference(request), version: store.version };
      await writeFile(join(temporary, 'Dockerfile'), dockerfile(parts));
      return { value: undefined, reused: false, detail: folder };
    });
    return { folder, files: await countFiles(temporary) };
  });
}

async function copyCode(
  store: PackageStore,
  request: PackageRequest,
  app: string,
  options: RunOptions,
): Promise<CodeReference> {
  return runStage('snapshot', 'Packing the source directory', options, async () => {
    const { code, layer, problems, reused } = await takeSnapshot(store, request.inference, options);
    for (const problem of problems) options.onProgress?.({ type: 'problem', problem });
    await unpackLayer(await store.registry.getBlob(SNAPSHOTS, layer.digest, options.signal), APP_PREFIX, app);
    return { value: code, reused, detail: `${code.fileCount} files` };
  });
}

/** Where code lies in its layer. */
const APP_PREFIX = `${APP_ROOT.slice(1)}/`;

async function copyModels(
  store: PackageStore,
  request: PackageRequest,
  app: string,
  options: RunOptions,
): Promise<void> {
  if (request.models.length === 0) return;
  const names = request.models.map(({ id }) => id).join(', ');
  await runStage('models', `Copying ${names}`, options, async () => {
    for (const model of request.models) {
      const folder = join(app, ...modelFolder(model).split('/'));
      await mkdir(folder, { recursive: true });
      await downloadModel(store, model.id, folder, options);
    }
    return { value: undefined, reused: false, detail: names };
  });
}

async function countFiles(folder: string): Promise<number> {
  const items = await readdir(folder, { recursive: true, withFileTypes: true });
  return items.filter((item) => !item.isDirectory()).length;
}

/** Only an earlier context of ours, or an empty folder, is replaced. */
async function refuseForeign(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isAbsent(error) && !(error instanceof Error && 'code' in error && error.code === 'ENOTDIR')) return [];
    return undefined;
  });
  if (names?.length === 0) return;
  const first = names && (await readFile(join(folder, 'Dockerfile'), 'utf8').catch(() => ''));
  if (first?.startsWith(DOCKERFILE_MARK)) return;
  throw new AksmlError('package.targetExists', `${folder} exists already and is not a build context of aksml.`, {
    fault: 'input',
    subject: folder,
    remedy: 'Choose another output path, or remove what is there.',
  });
}
