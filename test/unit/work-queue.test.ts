import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { WorkQueue } from '../../src/cluster/controller/work-queue.ts';

interface World {
  readonly queue: WorkQueue;
  /** What was begun, in order. */
  readonly begun: string[];
  /** Ends the work on what was begun first of what is under way, and goes on with what follows of it. */
  readonly finish: (failure?: Error) => Promise<void>;
  readonly pass: (ms: number) => Promise<void>;
}

async function openWorld(t: TestContext, concurrency: number): Promise<World> {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const begun: string[] = [];
  const underWay: PromiseWithResolvers<number>[] = [];
  const queue = new WorkQueue({
    concurrency,
    now: Date.now,
    onError: () => undefined,
    work: (key) => {
      begun.push(key);
      const work = Promise.withResolvers<number>();
      underWay.push(work);
      return work.promise;
    },
  });
  const ending = new AbortController();
  const running = queue.run(ending.signal);
  t.after(async () => {
    ending.abort();
    for (const { resolve } of underWay) resolve(0);
    await running;
  });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return {
    queue,
    begun,
    finish: async (failure) => {
      const work = underWay.shift();
      if (failure === undefined) work?.resolve(3_600_000);
      else work?.reject(failure);
      await settled();
    },
    pass: async (ms) => {
      t.mock.timers.tick(ms);
      await settled();
    },
  };
}

test('what is urgent comes before what was due earlier, and what is due already becomes urgent', async (t) => {
  const { queue, begun, finish, pass } = await openWorld(t, 1);
  queue.add('under way', 'now');
  for (const key of ['a', 'b', 'c']) queue.add(key);
  await pass(10);
  assert.equal(queue.depth, 3);
  queue.add('urgent', 'now');
  queue.add('c', 'now');
  for (let count = 0; count < 5; count += 1) await finish();
  assert.deepEqual(begun, ['under way', 'urgent', 'c', 'a', 'b']);
});

test('among many that are urgent one in four is not, so that nothing waits for ever', async (t) => {
  const { queue, begun, finish, pass } = await openWorld(t, 1);
  queue.add('under way', 'now');
  for (const key of ['a', 'b']) queue.add(key);
  await pass(10);
  for (const key of ['1', '2', '3', '4', '5', '6']) queue.add(key, 'now');
  for (let count = 0; count < 9; count += 1) await finish();
  assert.deepEqual(begun, ['under way', '1', '2', 'a', '3', '4', '5', 'b', '6']);
});

test('many changes of one key are few pieces of work, of which the first and an urgent one wait for nothing', async (t) => {
  const { queue, begun, finish, pass } = await openWorld(t, 8);
  queue.add('e');
  await pass(10);
  assert.equal(begun.length, 1, 'the first after a silence');
  await finish();
  for (let change = 0; change < 19; change += 1) {
    queue.add('e');
    await pass(10);
  }
  assert.equal(begun.length, 1);
  await pass(10);
  assert.equal(begun.length, 2, 'the changes since, as one');
  queue.add('e');
  queue.add('e', 'now');
  queue.add('e');
  assert.equal(begun.length, 2, 'never twice at once');
  await finish();
  assert.equal(begun.length, 3, 'the urgent one as soon as there is room');
});

test('what failed is tried again with back-off, for which a change does not wait', async (t) => {
  const { queue, begun, finish, pass } = await openWorld(t, 8);
  queue.add('e', 'now');
  await finish(new Error('the first'));
  await pass(100);
  await finish(new Error('the second'));
  await pass(199);
  assert.equal(begun.length, 2);
  await pass(1);
  assert.equal(begun.length, 3);
  await finish(new Error('the third'));
  queue.add('e', 'now');
  assert.equal(begun.length, 4);
});
