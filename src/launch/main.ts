import { join } from 'node:path';
import { openHome } from '../home/home.ts';
import { CompiledScripts } from './compiled-scripts.ts';

const { root, cache } = openHome(process.env);
const scripts = new CompiledScripts({ root, folder: join(cache, 'compiled') });
scripts.run(join(import.meta.dirname, 'cli.cjs'), commandOf(process.argv.slice(2)));

/** How much of a command is run: its words, and the options by which it stops early. */
function commandOf(argv: readonly string[]): string {
  const end = argv.findIndex((word) => !/^[a-z][a-z-]{0,19}$/.test(word));
  const words = argv.slice(0, end === -1 ? 4 : Math.min(end, 4));
  return [...words, ...['--help', '--dry-run'].filter((option) => argv.includes(option))].join('.') || 'aksml';
}
