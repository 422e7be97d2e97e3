import { once } from 'node:events';
import { eventually } from '../cluster/world.ts';
import { deployService, withAttachedCluster } from './cluster-world.ts';
import { median } from './median.ts';

/**
 * How fast a log of one replica is followed: `aksml service get-logs -f` against `kubectl logs -f`. It is as long as the node leaves it in one
 * file, which is so short that the time that a command takes for the last line alone is left out. Target: at least 0.8 times.
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
  // The last lines are the scoring server's own.
  const ours = (lines: number) => world.start('service', 'get-logs', '-n', NAME, '-f', '--num_lines', `${lines}`);
  const theirs = (lines: number) => world.startKubectl('logs', '-f', deployment, '--tail', `${lines}`);
  const commands = [ours, theirs].map((follow) => ({ follow, whole: [] as Told[], end: [] as Told[] }));
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const { follow, whole, end } of commands) {
      whole.push(await untilEnd(follow(1_000_000)));
      end.push(await untilEnd(follow(50)));
    }
  }
  const [our = Number.NaN, their = Number.NaN] = commands.map(rateOf);
  console.table([
    { what: 'aksml service get-logs -f, MB/s', figure: our.toFixed(1) },
    { what: 'kubectl logs -f, MB/s', figure: their.toFixed(1) },
    { what: 'ratio', figure: (our / their).toFixed(2) },
  ]);
});

interface Told {
  readonly bytes: number;
  readonly seconds: number;
}

/** Megabytes a second, of the medians. */
function rateOf({ whole, end }: { readonly whole: readonly Told[]; readonly end: readonly Told[] }): number {
  const more = (what: keyof Told) => median(whole.map((told) => told[what])) - median(end.map((told) => told[what]));
  return more('bytes') / 1e6 / more('seconds');
}

/** From the command to the last line. */
async function untilEnd(child: ReturnType<typeof import('node:child_process').spawn>): Promise<Told> {
  const started = performance.now();
  let bytes = 0;
  let tail = '';
  child.stderr?.resume();
  for await (const chunk of child.stdout ?? []) {
    bytes += chunk.length;
    tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 4096))).slice(-8192);
    if (tail.includes(END)) break;
  }
  const seconds = (performance.now() - started) / 1000;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  return { bytes, seconds };
}
