import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bindOnce } from '../../src/http/loopback-port.ts';
import { DebugAdapter } from './debug-adapter.ts';
import { DEPLOY, openWorld, outcomeOf, writeProject } from './world.ts';

const SCRIPT = (added: number) => `import json
from helper import double

def init():
    global added
    added = ${added}

def run(data):
    value = json.loads(data)["value"]
    return double(value) + added
`;
const INIT_LINE = 6;
const RUN_LINE = 10;

async function attach(port: number): Promise<DebugAdapter> {
  for (;;) {
    const adapter = await DebugAdapter.attach(port);
    if (adapter) return adapter;
    await sleep(100);
  }
}

test('breakpoints stop in init() and run(), and an edit takes effect with the next request', {
  timeout: 300_000,
}, async (t) => {
  const world = await openWorld();
  t.after(() => world.close());
  await writeProject(world, SCRIPT(1));
  await world.write('source/helper.py', 'def double(value):\n    return 2 * value\n');
  const port = await bindOnce(0);
  const registered = await world.aksml('model', 'register', '-n', 'weights', '-p', 'model');
  assert.equal(registered.code, 0, registered.stderr);

  const deploying = outcomeOf(
    world.start(...DEPLOY, '-n', 'debugged', '-m', 'weights:1', '--debug-port', String(port)),
  );
  const adapter = await attach(port);
  t.after(() => adapter.close());
  const script = join(world.project, 'source', 'score.py');
  await adapter.call('initialize', { adapterID: 'test', pathFormat: 'path' });
  adapter.send('attach', { justMyCode: true, pathMappings: [] });
  await adapter.event('initialized');
  const breakpoints = [{ line: INIT_LINE }, { line: RUN_LINE }];
  await adapter.call('setBreakpoints', { source: { path: script }, breakpoints });
  await adapter.call('configurationDone');

  const goOn = async () => adapter.call('continue', { threadId: (await adapter.event('stopped'))['threadId'] });
  await goOn();
  const deployed = await deploying;
  assert.equal(deployed.code, 0, deployed.stderr);

  const score = () => outcomeOf(world.start('service', 'run', '-n', 'debugged', '-d', '{"value": 20}', '-o', 'json'));
  const first = score();
  const { threadId } = await adapter.event('stopped');
  const { stackFrames } = await adapter.call('stackTrace', { threadId });
  const [frame] = stackFrames as readonly { readonly id: number; readonly source: { readonly path: string } }[];
  assert.equal(frame?.source.path, script, 'the file that is open in the editor');
  const { result } = await adapter.call('evaluate', { expression: 'value + added', frameId: frame?.id });
  assert.equal(result, '21');
  await adapter.call('continue', { threadId });
  assert.equal((await first).json<number>(), 41);

  await world.write('source/score.py', SCRIPT(2));
  await world.write('source/helper.py', 'def double(value):\n    return 3 * value\n');
  const edited = score();
  await goOn();
  await goOn();
  assert.equal((await edited).json<number>(), 62, 'both files are loaded again');

  await world.write('source/score.py', 'this is no Python\n');
  const broken = await score();
  assert.match(broken.stderr, /502: .*SyntaxError/s);
  await world.write('source/score.py', SCRIPT(3));
  const mended = score();
  await goOn();
  await goOn();
  assert.equal((await mended).json<number>(), 63);
});
