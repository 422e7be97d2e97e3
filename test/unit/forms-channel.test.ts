import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as v from 'valibot';
import { AksmlError } from '../../src/contract/error.ts';
import { FormCaller, type FormHandlers, FormServer } from '../../src/contract/webview/channel.ts';

const CONTRACT = {
  requests: {
    double: { params: v.object({ value: v.number() }), result: v.number() },
    wait: { params: v.object({}), result: v.null() },
  },
  events: { tick: v.object({ count: v.number() }) },
};

function connect(handlers: Partial<FormHandlers<typeof CONTRACT>> = {}) {
  const messages: unknown[] = [];
  // What crosses the border is copied, as a webview's messages are.
  const caller: FormCaller<typeof CONTRACT> = new FormCaller(CONTRACT, (message) => {
    messages.push(message);
    void server.receive(structuredClone(message));
  });
  const server: FormServer<typeof CONTRACT> = new FormServer(
    CONTRACT,
    (message) => {
      messages.push(message);
      caller.receive(structuredClone(message));
    },
    { double: ({ value }) => value * 2, wait: () => null, ...handlers },
  );
  return { caller, server, messages };
}

const isCode = (code: string) => (error: unknown) => AksmlError.is(error, code);

test('requests find their own answers, whatever the order', async () => {
  const gates = new Map<number, () => void>();
  const { caller } = connect({
    double: ({ value }) => new Promise((resolve) => gates.set(value, () => resolve(value * 2))),
  });
  const [first, second] = [caller.request('double', { value: 1 }), caller.request('double', { value: 2 })];
  gates.get(2)?.();
  assert.equal(await second, 4);
  gates.get(1)?.();
  assert.equal(await first, 2);
});

test('params that are not what was agreed never reach the handler, and the answer names the place but not the value', async () => {
  let called = false;
  const { caller } = connect({
    double: () => {
      called = true;
      return 0;
    },
  });
  await assert.rejects(caller.request('double', { value: 'geheim' as unknown as number }), (error) => {
    assert.ok(AksmlError.is(error, 'message.malformed'));
    assert.match(error.message, /"double".*value/);
    assert.doesNotMatch(JSON.stringify(error), /geheim/);
    return true;
  });
  assert.equal(called, false);
});

test('a result that is not what was agreed is refused by the form', async () => {
  const { caller } = connect({ double: () => 'four' as unknown as number });
  await assert.rejects(caller.request('double', { value: 2 }), isCode('message.malformed'));
});

test('a request that nobody agreed on is refused, also when it is named like a method of every object', async () => {
  const { caller } = connect();
  const ask = (name: string) => caller.request(name as 'double', { value: 1 });
  await assert.rejects(ask('constructor'), isCode('message.malformed'));
  await assert.rejects(ask('triple'), isCode('message.malformed'));
});

test('an error arrives with its code, its remedy and its problems', async () => {
  const { caller } = connect({
    double: () => {
      throw new AksmlError('service.notFound', 'There is no service.', { remedy: 'Deploy it.', logTail: ['x'] });
    },
  });
  await assert.rejects(caller.request('double', { value: 1 }), (error) => {
    assert.ok(AksmlError.is(error, 'service.notFound'));
    assert.deepEqual([error.remedy, error.logTail], ['Deploy it.', ['x']]);
    return true;
  });
});

test('a cancelled request rejects at once, and its handler hears of it', async () => {
  const heard = Promise.withResolvers<void>();
  const { caller } = connect({
    wait: (_, signal) => new Promise(() => signal.addEventListener('abort', () => heard.resolve())),
  });
  const stop = new AbortController();
  const asked = caller.request('wait', {}, stop.signal);
  stop.abort();
  await assert.rejects(asked, isCode('cancelled'));
  await heard.promise;
});

test('an answer to a page that was there before is passed over', async () => {
  const { server, messages } = connect();
  const after = connect();
  await server.receive({ kind: 'request', id: 'another:1', name: 'double', params: { value: 1 } });
  after.caller.receive(messages.at(-1));
  assert.equal(await after.caller.request('double', { value: 4 }), 8);
});

test('events reach their listeners until those leave; what is none of ours reaches nobody', () => {
  const { caller, server } = connect();
  const counts: number[] = [];
  const leave = caller.on('tick', ({ count }) => counts.push(count));
  server.notify('tick', { count: 1 });
  for (const stranger of [undefined, null, 'x', { kind: 'other' }, { kind: 'event' }]) caller.receive(stranger);
  leave();
  server.notify('tick', { count: 2 });
  assert.deepEqual(counts, [1]);
});

test('closing the form ends what is under way for it', async () => {
  const heard = Promise.withResolvers<void>();
  const { caller, server } = connect({
    wait: (_, signal) => new Promise(() => signal.addEventListener('abort', () => heard.resolve())),
  });
  caller.request('wait', {}).catch(() => undefined);
  server.dispose();
  await heard.promise;
});
