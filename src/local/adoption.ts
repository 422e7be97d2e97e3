import { rm } from 'node:fs/promises';
import type { Home } from '../home/home.ts';
import type { EndpointController } from './endpoint-controller.ts';
import { adoptProcess, endProcess, endStrays } from './replica-process.ts';
import { findReplicaFolders, type ReplicaFolder } from './replica-record.ts';

const LEFTOVER_GRACE_MS = 5000;

/**
 * Takes over the replicas that an earlier supervisor has started and ends those that nobody wants any more. A process is ours only if its
 * number and its start time are those in a run folder of this home, or if it bears the name of that folder in its environment.
 */
export async function adoptReplicas(
  home: Home,
  controllers: ReadonlyMap<string, EndpointController>,
  log: (line: string) => void,
): Promise<void> {
  const takeOver = async ({ folder, record }: ReplicaFolder) => {
    const controller = record && controllers.get(record.endpoint);
    const process = record?.process && (await adoptProcess(record.process));
    if (record && process && (await controller?.adopt(folder, record, process))) {
      log(`replica ${record.id} of ${record.endpoint}/${record.version} goes on (process ${process.identity.pid})`);
      return;
    }
    if (process) {
      log(`replica ${record?.id} is not wanted any more and ends (process ${process.identity.pid})`);
      await endProcess(process, folder, LEFTOVER_GRACE_MS);
    }
    await endStrays(folder);
    if (!record || !controller?.remember(folder, record)) await rm(folder, { recursive: true, force: true });
  };
  await Promise.all((await findReplicaFolders(home)).map(takeOver));
}
