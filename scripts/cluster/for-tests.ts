import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { clusterDown, clusterUp, findCluster } from './cluster.ts';

/** A cluster for one run of the tests. */
export interface ClusterForTests {
  /** Waits until it is up; or why there is none. */
  ready(): Promise<string | undefined>;
  /** Ends what this run started; a cluster that was up before stays. */
  end(): Promise<void>;
}

/** Begins at once, beside the tests that need no cluster, with what takes long: its programs and images. */
export function clusterForTests(): ClusterForTests {
  const before = findCluster();
  const preparing = before.then((cluster) => (cluster === undefined ? startPreparing() : undefined));
  let started = false;

  const end = async (): Promise<void> => {
    const child = await preparing;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) child.kill();
    if (started) await clusterDown();
    started = false;
  };
  let ending = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // A terminal sends one, and whoever started this passes on the same.
    process.on(signal, async () => {
      if (ending) return;
      ending = true;
      await end();
      process.exit(130);
    });
  }
  return {
    async ready() {
      const child = await preparing;
      if (child === undefined) return undefined;
      if (child.exitCode === null) await once(child, 'exit');
      started = true;
      const cluster = await clusterUp({ install: false, onProgress: (step) => console.error(`cluster: ${step}`) });
      return 'skip' in cluster ? cluster.skip : undefined;
    },
    end,
  };
}

/** A process of its own, because it installs packages without letting anything else run. */
function startPreparing(): ChildProcess {
  const script = join(import.meta.dirname, '..', 'cluster.ts');
  return spawn(process.execPath, [script, 'prepare'], { stdio: ['ignore', 'ignore', 'inherit'] });
}
