import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEPLOY, openWorld, writeProject } from '../local/world.ts';

/** Resident memory of the two processes that serve on this machine, with one service: idle, and after 2,000 requests. Linux only. */
const world = await openWorld();
try {
  await writeProject(world);
  await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  const deployed = await world.aksml(...DEPLOY, '-n', 'bench', '-m', 'weights', '-o', 'json');
  const { scoringUri } = deployed.json<{ scoringUri: string }>();
  const { primaryKey } = (await world.aksml('service', 'get-keys', '-n', 'bench', '-o', 'json')).json<{
    primaryKey: string;
  }>();
  const idle = await measure();
  for (let sent = 0; sent < 2000; sent += 1) {
    const answer = await fetch(scoringUri, {
      method: 'POST',
      body: '{}',
      headers: { authorization: `Bearer ${primaryKey}` },
    });
    await answer.arrayBuffer();
  }
  console.table({ idle, 'after 2,000 requests': await measure() });
} finally {
  await world.close();
}

async function measure() {
  return { 'supervisor MB': await residentMegabytes('supervisor'), 'gateway MB': await residentMegabytes('gateway') };
}

async function residentMegabytes(process: 'supervisor' | 'gateway'): Promise<number> {
  const { pid } = JSON.parse(await readFile(join(world.home, 'local', `${process}.json`), 'utf8')) as { pid: number };
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
