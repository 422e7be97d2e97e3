import type { Layer } from '../../src/engine/images/layer.ts';
import { type Manifest, MEDIA_TYPE, type Registry } from '../../src/engine/registry/registry.ts';

/** Where an image is in a registry. */
export interface ImageName {
  readonly repository: string;
  readonly tag: string;
}

/** Makes an image of layers that the registry has, for this machine's architecture. */
export async function putImage(
  registry: Registry,
  { repository, tag }: ImageName,
  layers: readonly Layer[],
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const content = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config,
    // Builders that add layers of their own count the entries.
    history: layers.map(() => ({ created_by: 'aksml tests' })),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
  };
  const descriptor = await registry.putBlob(repository, Buffer.from(JSON.stringify(content)), {
    mediaType: MEDIA_TYPE.imageConfig,
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.manifest,
    config: descriptor,
    layers: layers.map((layer) => layer.descriptor),
  };
  await registry.putManifest(repository, manifest, { tag });
}

/** Copies an image, under the same name, from one registry to another. */
export async function copyImage(from: Registry, to: Registry, { repository, tag }: ImageName): Promise<void> {
  const { manifest } = await from.getManifest(repository, tag);
  for (const part of [manifest.config, ...manifest.layers]) {
    if (await to.hasBlob(repository, part.digest)) continue;
    const content = await from.getBlob(repository, part.digest);
    await to.putBlob(repository, content, { mediaType: part.mediaType, expected: part });
  }
  await to.putManifest(repository, manifest, { tag });
}
