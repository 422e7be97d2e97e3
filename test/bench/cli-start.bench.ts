import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** How long the command line takes to start, against what Node itself takes. Runs are interleaved, so that both meet the same machine. */
const ROUNDS = 21;
const LIMIT_MS = 150;
const root = join(import.meta.dirname, '..', '..');

if (!existsSync(join(root, 'dist', 'cli.cjs'))) {
  const { buildAll } = await import('../../scripts/build.ts');
  process.chdir(root);
  await buildAll();
}

const launcher = join(root, 'bin', 'aksml.js');
const candidates = [
  { what: 'node -e 0', args: ['-e', '0'] },
  { what: 'aksml --help', args: [launcher, '--help'] },
  { what: 'aksml model deploy --help', args: [launcher, 'model', 'deploy', '--help'] },
  { what: 'aksml __complete -- model de', args: [launcher, '__complete', '--', 'model', 'de'] },
];
const times = candidates.map((): number[] => []);
for (let round = 0; round < ROUNDS; round += 1) {
  candidates.forEach(({ args }, index) => {
    const started = performance.now();
    const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`);
    // The first round fills the caches.
    if (round > 0) times[index]?.push(performance.now() - started);
  });
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const bare = median(times[0] ?? []);
console.table(
  candidates.map(({ what }, index) => {
    const ms = median(times[index] ?? []);
    return {
      command: what,
      'median ms': ms.toFixed(1),
      'over node': `+${(ms - bare).toFixed(1)}`,
      ...(what === 'aksml --help' ? { limit: `${LIMIT_MS} ms` } : {}),
    };
  }),
);
