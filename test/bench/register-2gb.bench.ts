import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

/** Registers a 2 GB model in a process of its own, then unpacks it; prints times and the process's largest resident memory. */
const GIB = 1 << 30;
const root = await mkdtemp(join(tmpdir(), 'aksml-bench-'));
try {
  const cwd = join(root, 'project');
  await mkdir(cwd);
  const file = await open(join(cwd, 'model.bin'), 'w');
  await file.truncate(2 * GIB);
  await file.close();
  const source = (path: string): string => new URL(`../../src/${path}`, import.meta.url).href;
  const script = `
    import { materializeModel } from '${source('engine/models/materialize.ts')}';
    import { registerModel } from '${source('engine/models/models.ts')}';
    import { openLayout } from '${source('engine/registry/layout.ts')}';
    import { openHome } from '${source('home/home.ts')}';
    const home = openHome({ AKSML_HOME: ${JSON.stringify(join(root, 'home'))} });
    const store = { home, registry: openLayout(home, ${JSON.stringify(join(root, 'home', 'demo'))}), clock: () => new Date(), user: 'bench' };
    const measure = async (work) => {
      const start = performance.now();
      const result = await work();
      return { seconds: (performance.now() - start) / 1000, maxMb: process.resourceUsage().maxRSS / 1024, result };
    };
    const request = { name: 'large', path: 'model.bin', cwd: ${JSON.stringify(cwd)} };
    const first = await measure(() => registerModel(store, request));
    const again = await measure(() => registerModel(store, request));
    const unpacked = await measure(() => materializeModel(store, again.result.model));
    process.stdout.write(JSON.stringify({ first, again, unpacked }));`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const steps = (await json(child.stdout)) as Record<string, { seconds: number; maxMb: number }>;
  console.table(
    Object.entries(steps).map(([step, { seconds, maxMb }]) => ({
      step: { first: 'register 2 GB', again: 'register the same again', unpacked: 'unpack for replicas' }[step],
      seconds: Number(seconds.toFixed(2)),
      'largest resident MB so far': Math.round(maxMb),
    })),
  );
} finally {
  await rm(root, { recursive: true, force: true });
}
