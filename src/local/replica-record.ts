import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { ReplicaLaunch } from './replica-launch.ts';

/** `replica.json` in a replica's run folder: who it is, and the process that another supervisor can adopt. */
export interface ReplicaRecord {
  readonly id: string;
  readonly endpoint: string;
  readonly version: string;
  readonly image: string;
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  readonly restarts: number;
  /** It gets no new requests any more. */
  readonly isDraining?: boolean;
  /** Milliseconds since the epoch when `init()` had returned. */
  readonly initEnd?: number;
  readonly process?: ProcessIdentity;
  /** How to watch that process. */
  readonly watch?: Pick<ReplicaLaunch, 'readiness' | 'livenessRoute'>;
}

/** `status.json`, written by the launcher. Times are seconds since the epoch. */
export interface LauncherStatus {
  readonly pid: number;
  readonly phase: 'starting' | 'ready' | 'exited';
  readonly workers: number;
  /** Workers whose `init()` has returned. */
  readonly ready: readonly number[];
  readonly port?: number;
  readonly readyTime?: number;
  readonly exitCode?: number;
  /** Workers that died; the scoring server replaces them itself. */
  readonly workerDeaths?: number;
}

export const STATUS_FILE = 'status.json';

export function replicasFolder(home: Home): string {
  return join(home.local, 'replicas');
}

export async function writeReplicaRecord(folder: string, record: ReplicaRecord): Promise<void> {
  await writeFileAtomic(join(folder, 'replica.json'), JSON.stringify(record));
}

export async function readLauncherStatus(folder: string): Promise<LauncherStatus | undefined> {
  return readJson<LauncherStatus>(join(folder, STATUS_FILE));
}

export interface ReplicaFolder {
  readonly folder: string;
  /** Absent when the supervisor was killed just before writing it. */
  readonly record: ReplicaRecord | undefined;
}

/** Every run folder there is. */
export async function findReplicaFolders(home: Home): Promise<ReplicaFolder[]> {
  const found: ReplicaFolder[] = [];
  const root = replicasFolder(home);
  for (const endpoint of await foldersIn(root)) {
    for (const version of await foldersIn(join(root, endpoint))) {
      for (const id of await foldersIn(join(root, endpoint, version))) {
        const folder = join(root, endpoint, version, id);
        found.push({ folder, record: await readJson<ReplicaRecord>(join(folder, 'replica.json')) });
      }
    }
  }
  return found;
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
