import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openPlace } from '../../scripts/cluster/place.ts';
import { findDockerRegistry } from '../../scripts/cluster/registry.ts';
import { isOnPath } from '../../scripts/packages.ts';
import { installGoProgram } from './go-program.ts';

const VERSION = '3.0.0';
const MODULE = 'github.com/distribution/distribution/v3/cmd/registry';

export type RegistryProgram =
  | { readonly name: string; readonly command: string }
  | { readonly name: string; readonly skip: string };

/** The registries that aksml is held against, or why one of them is not there. */
export async function registryPrograms(): Promise<readonly RegistryProgram[]> {
  return [{ name: 'docker-registry', ...findDockerRegistry() }, await distribution()];
}

/** The distribution project's own, built from its Go module once for all checkouts, in CI only (some minutes). */
async function distribution(): Promise<RegistryProgram> {
  const name = `distribution ${VERSION}`;
  const { cache } = openPlace();
  const folder = join(cache, `distribution-${VERSION}`);
  const found = { name, command: join(folder, 'registry') };
  if (existsSync(found.command)) return found;
  if (!process.env['CI'] || !isOnPath('go')) return { name, skip: `needs Go, and CI set, to build ${MODULE}` };
  await installGoProgram(`${MODULE}@v${VERSION}`, folder);
  return found;
}
