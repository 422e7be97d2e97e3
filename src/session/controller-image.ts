import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AksmlError } from '../contract/error.ts';
import type { RunOptions } from '../engine/endpoints/stages.ts';
import { pushControllerImage } from '../engine/images/controller-image.ts';
import type { ImageTools } from '../engine/images/image-request.ts';
import type { Registry } from '../engine/registry/registry.ts';

const PROGRAM = '/opt/aksml/cluster.js';

/** What runs in a cluster, as an image in a registry. @throws AksmlError `installation.incomplete` | what composing throws */
export async function pushController(
  tools: ImageTools,
  registry: Registry,
  { architecture, base, ...options }: RunOptions & { readonly architecture: string; readonly base?: string },
): Promise<{ readonly reference: string; readonly reused: boolean }> {
  return pushControllerImage(
    tools,
    registry,
    {
      platform: { os: 'linux', architecture },
      content: [{ from: clusterProgram(), to: PROGRAM }],
      arguments: [PROGRAM],
      ...(base === undefined ? {} : { base }),
    },
    options,
  );
}

/** `dist/cluster.js` of the package: the same place for the sources and for the bundle. */
function clusterProgram(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'dist', 'cluster.js');
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) {
      throw new AksmlError('installation.incomplete', 'The file dist/cluster.js of aksml is missing.', {
        remedy: 'Install aksml again.',
      });
    }
  }
}
