import { once } from 'node:events';
import { eventually } from '../cluster/world.ts';
import { deployService, withAttachedCluster } from './cluster-world.ts';
import { median } from './median.ts';

/**
 * How fast a log of one replica is followed: `aksml service get-logs -f` against `kubectl logs -f`. It is as long as the node leaves it in one
 * file. Target: at least 0.8 times.
 */
const ROUNDS = 5;
const NAME = 'talker';
const LINES = 60_000;
const END = 'all lines are written';

const SCRIPT = `
import sys

def init():
    text = "x" * 100
    for number in range(${LINES}):
        sys.stdout.write(f"{number:08d} {text}\\n")
    print("${END}", flush=True)

def run(data):
    return data
`;

await withAttachedCluster(async (world) => {
  const deployment = await deployService(world, NAME, SCRIPT);
  await eventually('the log is whole', async () =>
    (await world.kubectl('logs', deployment, '--tail', '50')).includes(END),
  );
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    ours.push(await rate(world.start('service', 'get-logs', '-n', NAME, '-f', '--num_lines', '1000000')));
    theirs.push(await rate(world.startKubectl('logs', '-f', deployment)));
  }
  console.table([
    { what: 'aksml service get-logs -f, MB/s, median', figure: median(ours).toFixed(1) },
    { what: 'kubectl logs -f, MB/s, median', figure: median(theirs).toFixed(1) },
    { what: 'ratio', figure: (median(ours) / median(theirs)).toFixed(2) },
  ]);
});

/** Megabytes a second, from the first of them to the last line: so short a log takes less time than a command to start. */
async function rate(child: ReturnType<typeof import('node:child_process').spawn>): Promise<number> {
  let started = Number.NaN;
  let bytes = 0;
  let tail = '';
  child.stderr?.resume();
  for await (const chunk of child.stdout ?? []) {
    if (bytes === 0) started = performance.now();
    bytes += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 4096))).slice(-8192);
    if (tail.includes(END)) break;
  }
  const seconds = (performance.now() - started) / 1000;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  return bytes / 1e6 / seconds;
}
