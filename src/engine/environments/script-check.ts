import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { EnvironmentTools } from './environment.ts';
import { type CheckSyntax, checkSyntax } from './syntax.ts';

/**
 * A check of scoring scripts by any Python of this machine; undefined when there is none. The interpreter is remembered, because looking
 * for one, through a version manager's shims, takes longer than the check itself.
 */
export async function openScriptCheck(tools: EnvironmentTools, signal?: AbortSignal): Promise<CheckSyntax | undefined> {
  const memory = join(tools.home.cache, 'script-check-python');
  const remembered = await readFile(memory, 'utf8').catch(() => undefined);
  if (remembered !== undefined && (await exists(remembered))) return checkSyntax(remembered, tools.environment);
  const [{ pythonSearch }, { findPython }] = await Promise.all([import('./environment.ts'), import('./python.ts')]);
  const found = await findPython(pythonSearch(tools, signal));
  if (found === undefined) return undefined;
  await writeFileAtomic(memory, found.path);
  return checkSyntax(found.path, tools.environment);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
