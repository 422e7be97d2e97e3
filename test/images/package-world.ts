import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import type { EnvironmentDefinition } from '../../src/contract/environment.ts';
import type { Model } from '../../src/contract/model.ts';
import type { PackageRequest, PackageStore } from '../../src/engine/images/image-request.ts';
import { type LayerEntry, packEntries } from '../../src/engine/images/layer.ts';
import { registerModel } from '../../src/engine/models/models.ts';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { MEDIA_TYPE } from '../../src/engine/registry/registry.ts';
import { openHome } from '../../src/home/home.ts';

/** A project with one model, and an engine to package it. */
export interface PackageWorld {
  readonly folder: string;
  readonly store: PackageStore;
  readonly model: Model;
  request(more: Partial<PackageRequest> & { readonly outputPath: string }): PackageRequest;
}

export const SCORE = `
import json, os
from lib.doubling import double

def init():
    global factor
    with open(os.path.join(os.environ['AZUREML_MODEL_DIR'], 'factor.txt')) as file:
        factor = float(file.read())

def run(data):
    return {'answer': [double(x) * factor for x in json.loads(data)['data']], 'greeting': os.environ['GREETING'], 'uid': os.getuid()}
`;

export async function makePackageWorld(
  t: { after(work: () => Promise<void>): void },
  options: { readonly homeName?: string; readonly environment?: Readonly<Record<string, string | undefined>> } = {},
): Promise<PackageWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-package-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const home = openHome({ AKSML_HOME: join(folder, options.homeName ?? 'home') });
  const store: PackageStore = {
    home,
    registry: openLayout(home, join(home.workspaces, 'test')),
    environment: options.environment ?? {},
    clock: () => new Date(),
    fetch,
    user: 'tester',
    version: '0.0.0-test',
  };
  const source = join(folder, 'source');
  await mkdir(join(source, 'lib'), { recursive: true });
  await writeFile(join(source, 'score.py'), SCORE);
  await writeFile(join(source, 'lib', '__init__.py'), '');
  await writeFile(join(source, 'lib', 'doubling.py'), 'def double(x):\n    return 2 * x\n');
  await writeFile(join(folder, 'factor.txt'), '1.5');
  const { model } = await registerModel(store, { name: 'factor', path: join(folder, 'factor.txt'), cwd: folder });
  return {
    folder,
    store,
    model,
    request: (more) => ({
      inference: { sourceDirectory: source, entryScript: 'score.py', namedFiles: [] },
      definition: environmentDefinition(),
      models: [model],
      ...more,
    }),
  };
}

export function environmentDefinition(more: Partial<EnvironmentDefinition> = {}): EnvironmentDefinition {
  return {
    environmentVariables: { GREETING: 'say "$hello"' },
    secretEnvironmentVariables: [],
    python: {
      userManagedDependencies: false,
      condaDependencies: { channels: [], dependencies: [], pip: ['azureml-inference-server-http'] },
    },
    docker: { platform: { os: 'Linux', architecture: ARCHITECTURE }, arguments: [], enableGpu: false },
    ...more,
  };
}

export const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** An image layout of a single small layer: enough of a base image for all that does not run it. */
export async function writeSmallBase(
  layout: string,
  options: { readonly entries?: readonly LayerEntry[]; readonly layers?: number; readonly architecture?: string } = {},
): Promise<void> {
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const put = async (content: Uint8Array, mediaType: string) => {
    const hex = createHash('sha256').update(content).digest('hex');
    await writeFile(join(blobs, hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const layers = [];
  const diffIds = [];
  for (let index = 0; index < (options.layers ?? 1); index += 1) {
    const mark: LayerEntry = { kind: 'file', path: `etc/layer-${index}`, executable: false, content: Buffer.from('x') };
    const tar = await buffer(packEntries([mark, ...(options.entries ?? [])]));
    diffIds.push(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
    layers.push(await put(gzipSync(tar), MEDIA_TYPE.layerGzip));
  }
  const config = await put(
    Buffer.from(
      JSON.stringify({
        architecture: options.architecture ?? ARCHITECTURE,
        os: 'linux',
        config: { Env: ['PATH=/usr/bin', 'LANG=C.UTF-8'], Cmd: ['sh'], Labels: { base: 'yes' } },
        rootfs: { type: 'layers', diff_ids: diffIds },
      }),
    ),
    MEDIA_TYPE.imageConfig,
  );
  const manifest = await put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.manifest, config, layers })),
    MEDIA_TYPE.manifest,
  );
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
}
