import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AksmlError } from '../../contract/error.ts';

/** What starts the scoring server of a container, beside each other in one folder; the first is the script to run. */
export const SERVER_FILES = ['serve.py', 'aksml_server.py'] as const;

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
