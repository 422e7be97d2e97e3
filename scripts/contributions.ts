import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { manifest } from '../src/extension/contributions/contributions.ts';
import { MESSAGES_FILE, messages } from './messages.ts';

const root = join(import.meta.dirname, '..');

/** `package.json` with what the extension adds to VS Code. */
export function withContributions(packageJson: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { capabilities, contributes, activationEvents } = manifest();
  return { ...packageJson, capabilities, activationEvents, contributes, l10n: `./${dirname(MESSAGES_FILE)}` };
}

if (import.meta.main) {
  const file = join(root, 'package.json');
  const packageJson = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  const texts = join(root, 'package.nls.json');
  const bundle = join(root, MESSAGES_FILE);
  await writeFile(file, `${JSON.stringify(withContributions(packageJson), undefined, 2)}\n`);
  await writeFile(texts, `${JSON.stringify(manifest().texts, undefined, 2)}\n`);
  await writeFile(bundle, `${JSON.stringify(await messages(), undefined, 2)}\n`);
  spawnSync(join(root, 'node_modules', '.bin', 'biome'), ['format', '--write', file, texts, bundle], {
    stdio: 'inherit',
  });
}
