import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLayout } from '../../src/engine/registry/layout.ts';
import { takeSnapshot } from '../../src/engine/snapshot/snapshot.ts';
import { openHome } from '../../src/home/home.ts';
import { median } from './median.ts';

/** Snapshots of 30,000 files against `tar cf` of the same folder: medians of interleaved runs, the page cache warm for both. */
const FOLDERS = 300;
const FILES_PER_FOLDER = 100;
const ROUNDS = 7;

const folder = await mkdtemp(join(tmpdir(), 'aksml-bench-snapshot-'));
// What is shipped is JavaScript: the thread that hashes shall not translate its TypeScript first, in every round.
process.env['NODE_COMPILE_CACHE'] = join(folder, 'compiled');
try {
  const tree = join(folder, 'project');
  makeTree(tree);
  const request = { sourceDirectory: tree, entryScript: 'score.py', namedFiles: [], liftLimits: true };
  const times = {
    tar: [] as number[],
    tarSync: [] as number[],
    cold: [] as number[],
    same: [] as number[],
    edit: [] as number[],
  };
  await takeSnapshot(openStore(join(folder, 'warm-up')), request);
  for (let round = 0; round < ROUNDS; round += 1) {
    const archive = join(folder, 'project.tar');
    times.tar.push(await timed(() => runTar(folder, archive)));
    times.tarSync.push((times.tar.at(-1) ?? 0) + (await timed(() => flush(archive))));
    rmSync(archive);

    const home = join(folder, `home-${round}`);
    const store = openStore(home);
    times.cold.push(await timed(() => takeSnapshot(store, request)));
    times.same.push(await timed(() => takeSnapshot(store, request)));
    writeFileSync(join(tree, 'score.py'), `# ${round}\n`);
    times.edit.push(await timed(() => takeSnapshot(store, request)));
    rmSync(home, { recursive: true });
  }
  const tar = median(times.tar);
  console.table({
    'tar cf': row(times.tar, tar),
    'tar cf, written through to disk': row(times.tarSync, tar),
    'snapshot, cold (stored, hashed, written through)': row(times.cold, tar),
    'snapshot, unchanged (at most 500 ms)': row(times.same, tar),
    'snapshot, one file changed': row(times.edit, tar),
  });
} finally {
  await rm(folder, { recursive: true, force: true });
}

function openStore(root: string) {
  const home = openHome({ AKSML_HOME: root });
  return { home, registry: openLayout(home, join(home.workspaces, 'bench')) };
}

/** 200 bytes to 8 KiB a file, as in a folder of Python packages. */
function makeTree(root: string): void {
  const filler = Buffer.alloc(8192, 'x = 1  # filler\n');
  for (let folderIndex = 0; folderIndex < FOLDERS; folderIndex += 1) {
    const path = join(root, `package_${folderIndex % 20}`, `module_${folderIndex}`);
    mkdirSync(path, { recursive: true });
    for (let index = 0; index < FILES_PER_FOLDER; index += 1) {
      const size = 200 + ((folderIndex * 7919 + index * 104729) % 7992);
      writeFileSync(join(path, `file_${index}.py`), filler.subarray(0, size));
    }
  }
  writeFileSync(join(root, 'score.py'), '');
}

function runTar(cwd: string, archive: string): void {
  const { status } = spawnSync('tar', ['cf', archive, 'project'], { cwd });
  if (status !== 0) throw new Error('tar failed');
}

function flush(path: string): void {
  const file = openSync(path, 'r+');
  fsyncSync(file);
  closeSync(file);
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function row(values: readonly number[], tar: number): Record<string, string> {
  const middle = median(values);
  return { 'median ms': middle.toFixed(0), 'times tar cf': (middle / tar).toFixed(2) };
}
