import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AksmlError } from '../contract/error.ts';
import type { RunOptions } from '../engine/endpoints/stages.ts';
import { pushControllerImage } from '../engine/images/controller-image.ts';
import type { ImageTools } from '../engine/images/image-request.ts';
import type { DistributionRegistry } from '../engine/registry/distribution.ts';

/** Of the controller, which an image of the two starts, and of a router. */
const CONTROLLER = 'cluster.js';
const ROUTER = 'router.js';
const FOLDER = '/opt/aksml';

/** What runs in a cluster, as an image in a registry. @throws AksmlError `installation.incomplete` | what composing throws */
export async function pushController(
  tools: ImageTools,
  registry: DistributionRegistry,
  {
    architectures,
    base,
    ...options
  }: RunOptions & { readonly architectures: readonly string[]; readonly base?: string },
): Promise<{ readonly reference: string; readonly reused: boolean }> {
  return pushControllerImage(
    tools,
    registry,
    {
      platforms: architectures.map((architecture) => ({ os: 'linux', architecture })),
      frontEnd: true,
      content: [CONTROLLER, ROUTER].map((file) => ({ from: bundled(file), to: `${FOLDER}/${file}` })),
      arguments: [`${FOLDER}/${CONTROLLER}`],
      ...(base === undefined ? {} : { base }),
    },
    options,
  );
}

/** A file of `dist/` of the package: the same place for the sources and for the bundle. */
function bundled(file: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'dist', file);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) {
      throw new AksmlError('installation.incomplete', `The file dist/${file} of aksml is missing.`, {
        remedy: 'Install aksml again.',
      });
    }
  }
}
