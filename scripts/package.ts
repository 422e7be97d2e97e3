import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVSIX } from '@vscode/vsce';
import packageJson from '../package.json' with { type: 'json' };
import { buildAll } from './build.ts';

const root = join(import.meta.dirname, '..');

/** Beside `dist/`, which is built anew. */
const SHIPPED = [
  '.vscodeignore',
  'runtime',
  'media',
  'l10n',
  'package.nls.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
];
/** What the manifest says to npm alone. `files` would make vsce read it as its own list. */
const OF_NPM = ['bin', 'files', 'scripts', 'devDependencies'];

/**
 * Packs the extension into a `.vsix`. It is laid out in a folder of its own first: what lies in the checkout by chance stays out, and the
 * manifest's `files` go on naming what the npm package of the command holds.
 * @returns the path of the package
 */
export async function packageExtension(
  target = join(root, `${packageJson.name}-${packageJson.version}.vsix`),
): Promise<string> {
  const stage = await mkdtemp(join(tmpdir(), 'aksml-vsix-'));
  try {
    await buildAll(join(stage, 'dist'));
    for (const name of SHIPPED)
      await cp(join(root, name), join(stage, name), {
        recursive: true,
        filter: (path) => !path.includes('__pycache__'),
      });
    const readme = await readFile(join(root, 'README.md'), 'utf8');
    await writeFile(join(stage, 'README.md'), withoutDeadLinks(readme));
    const manifest = Object.fromEntries(Object.entries(packageJson).filter(([key]) => !OF_NPM.includes(key)));
    await writeFile(join(stage, 'package.json'), JSON.stringify(manifest, undefined, 2));
    await createVSIX({
      cwd: stage,
      packagePath: target,
      dependencies: false,
      allowMissingRepository: true,
      rewriteRelativeLinks: false,
    });
    return target;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** What the package does not have is named, not linked to. */
function withoutDeadLinks(readme: string): string {
  return readme.replaceAll(/(?<!!)\[([^\]]+)\]\((?!https?:)([^)#]+)\)/g, (link, text: string, path: string) =>
    SHIPPED.some((name) => path === name || path.startsWith(`${name}/`)) ? link : text,
  );
}

if (import.meta.main) await packageExtension();
