import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClusterConnection } from '../../contract/compute-record.ts';
import { writeFileAtomic } from '../../home/atomic-file.ts';
import type { Home } from '../../home/home.ts';
import { asStorageError, isAbsent } from '../registry/storage-error.ts';

/** How this machine reaches a cluster, kept by the cluster's id: a kubeconfig is named, never copied. */
export async function readConnection(home: Home, clusterId: string): Promise<ClusterConnection | undefined> {
  try {
    return JSON.parse(await readFile(fileOf(home, clusterId), 'utf8')) as ClusterConnection;
  } catch (error) {
    // What cannot be read is made again by attaching once more.
    if (isAbsent(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function keepConnection(home: Home, clusterId: string, connection: ClusterConnection): Promise<void> {
  const file = fileOf(home, clusterId);
  await writeFileAtomic(file, `${JSON.stringify(connection, null, 2)}\n`).catch((error: unknown) => {
    throw asStorageError(error, 'Remembering the kubeconfig', file);
  });
}

export async function forgetConnection(home: Home, clusterId: string): Promise<void> {
  await rm(fileOf(home, clusterId), { force: true });
}

function fileOf(home: Home, clusterId: string): string {
  // The id comes from a cluster or from a shared record: it must not lead out of the folder.
  return join(home.compute, `${clusterId.replace(/[^A-Za-z0-9-]/g, '_')}.json`);
}
