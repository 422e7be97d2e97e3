import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as settled } from 'node:timers/promises';
import { type Readiness, ReadinessAsker } from '../../src/cluster/router/readiness-asker.ts';

interface Question {
  readonly address: string;
  readonly signal: AbortSignal;
  answer(said: Readiness): Promise<void>;
}

/** An asker whose questions the test answers, and whose time the test makes pass. */
function openAsker(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const questions: Question[] = [];
  const news: string[] = [];
  const asker = new ReadinessAsker({
    onNews: (endpoint) => news.push(`${endpoint} ${asker.asked(endpoint)?.get('a')?.isReady}`),
    ask: (address, signal) =>
      new Promise((resolve) => {
        const answer = async (said: Readiness) => {
          resolve(said);
          await settled();
        };
        questions.push({ address, signal, answer });
      }),
  });
  t.after(() => asker.close());
  const pass = (milliseconds: number) => t.mock.timers.tick(milliseconds);
  const next = () => questions.shift() ?? assert.fail('nobody is asked');
  return { asker, questions, news, pass, next };
}

const A = { id: 'a', address: '10.0.0.1' };

test('a starting replica is asked until it says that it is ready, then less often, and its word is withdrawn when it says so no more', async (t) => {
  const { asker, questions, news, pass, next } = openAsker(t);
  asker.follow('web', [A]);
  pass(0);
  await next().answer('silent');
  assert.deepEqual([news, questions], [[], []], 'not at once');
  pass(50);
  await next().answer('unready');
  pass(100);
  await next().answer('ready');
  assert.deepEqual(news, ['web true']);
  pass(900);
  assert.deepEqual(questions, []);
  asker.follow('web', [A]);
  pass(100);
  await next().answer('ready');
  pass(1000);
  await next().answer('silent');
  assert.deepEqual(news, ['web true', 'web false']);
  pass(50);
  await next().answer('ready');
  assert.deepEqual(news, ['web true', 'web false', 'web true']);
});

test('a replica that is not starting any more is asked nothing, and one of its name at another address is another one', async (t) => {
  const { asker, questions, news, pass, next } = openAsker(t);
  asker.follow('web', [A]);
  pass(0);
  const first = next();
  await first.answer('ready');
  asker.follow('web', [{ ...A, address: '10.0.0.2' }]);
  assert.deepEqual([first.signal.aborted, asker.asked('web')?.get('a')?.isReady], [true, false]);
  pass(10_000);
  const second = next();
  assert.deepEqual([second.address, questions], ['10.0.0.2', []]);
  asker.follow('web', []);
  assert.equal(second.signal.aborted, true);
  await second.answer('ready');
  asker.close();
  asker.follow('web', [A]);
  pass(10_000);
  assert.deepEqual([questions, news, asker.asked('web')], [[], ['web true'], undefined]);
});

test('of thousands that start at once a few dozen are asked at a time, each in its turn, and those that do not listen ever less often', async (t) => {
  const { asker, questions, pass } = openAsker(t);
  const all = Array.from({ length: 5000 }, (_, n) => ({ id: `p${n}`, address: `10.1.${n >> 8}.${n & 255}` }));
  asker.follow('web', all);
  pass(60_000);
  assert.equal(questions.length, 64);
  const answered = new Set<string>();
  for (let question = questions.shift(); answered.size < all.length; question = questions.shift()) {
    assert.ok(question, 'nobody waits for ever');
    assert.ok(!answered.has(question.address), 'nobody is asked again before the others');
    answered.add(question.address);
    await question.answer('silent');
  }
  asker.follow('web', [A]);
  let count = 0;
  for (let second = 0; second < 60; second += 1) {
    for (let tick = 0; tick < 20; tick += 1) {
      pass(50);
      const mine = questions.splice(0).filter(({ signal }) => !signal.aborted);
      for (const question of mine) await question.answer('silent');
      if (second === 59) count += mine.length;
    }
  }
  assert.equal(count, 1, 'a second apart');
});
