import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AksmlError } from '../../contract/error.ts';

/**
 * The path of one of aksml's own Python files, in `runtime/python` of the package: the same place for the sources and for the bundle.
 * @throws AksmlError `installation.incomplete`
 */
export function runtimeFile(name: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const candidate = join(folder, 'runtime', 'python', name);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) {
      throw new AksmlError('installation.incomplete', `The file runtime/python/${name} of aksml is missing.`, {
        remedy: 'Install aksml again.',
      });
    }
  }
}
