import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Admission, type Refusal, type Slot } from '../../src/serving/admission.ts';

class Client {
  slot: Slot | undefined;
  refusal: Refusal | undefined;

  admitted(slot: Slot): void {
    assert.ok(!this.slot && !this.refusal, 'told once');
    this.slot = slot;
  }

  refused(reason: Refusal): void {
    assert.ok(!this.slot && !this.refusal, 'told once');
    this.refusal = reason;
  }
}

const replica = (id: string, accepting = true) => ({ id, accepting });

function version(replicas: readonly string[], maxConcurrent = 1, maxQueueWaitMs = 500): Admission {
  const admission = new Admission({ maxConcurrent, maxQueueWaitMs });
  admission.configure(
    { maxConcurrent, maxQueueWaitMs },
    replicas.map((id) => replica(id)),
    0,
  );
  return admission;
}

function enter(admission: Admission, now: number) {
  const client = new Client();
  return { client, ticket: admission.enter(client, now) };
}

test('admission: free replicas take turns, then requests queue in order', () => {
  const admission = version(['a', 'b']);
  const [first, second, third, fourth] = [0, 1, 2, 3].map((now) => enter(admission, now).client);
  assert.deepEqual(
    [first?.slot?.replica, second?.slot?.replica, third?.slot, fourth?.slot],
    ['a', 'b', undefined, undefined],
  );
  second?.slot?.release(100);
  assert.equal(third?.slot?.replica, 'b');
  assert.equal(third?.slot?.waitedMs, 98);
  assert.equal(fourth?.slot, undefined);
});

test('admission: a slot released twice counts once', () => {
  const admission = version(['a']);
  const { client } = enter(admission, 0);
  client.slot?.release(1);
  client.slot?.release(2);
  assert.equal(admission.busy, 0);
  enter(admission, 3);
  assert.equal(admission.busy, 1);
});

test('admission: refuses after the longest wait, and no sooner', () => {
  const admission = version(['a']);
  enter(admission, 0);
  const { client } = enter(admission, 10);
  assert.equal(admission.nextEvent(10), 510);
  admission.advance(509);
  assert.equal(client.refusal, undefined);
  admission.advance(510);
  assert.equal(client.refusal, 'overloaded');
  assert.equal(admission.queued, 0);
});

test('admission: with no wait allowed a busy version refuses at once', () => {
  const admission = version(['a'], 1, 0);
  enter(admission, 0);
  assert.equal(enter(admission, 0).client.refusal, 'overloaded');
});

test('admission: without replicas it refuses at once, and says so to those who waited', () => {
  const admission = version(['a']);
  enter(admission, 0);
  const { client: waiting } = enter(admission, 0);
  admission.configure({ maxConcurrent: 1, maxQueueWaitMs: 500 }, [], 1);
  assert.equal(enter(admission, 2).client.refusal, 'noReplicas');
  admission.advance(500);
  assert.equal(waiting.refusal, 'noReplicas');
});

test('admission: a replica that comes in time serves who waits', () => {
  const admission = version(['a']);
  enter(admission, 0);
  const { client } = enter(admission, 0);
  admission.configure({ maxConcurrent: 1, maxQueueWaitMs: 500 }, [replica('a', false), replica('b')], 400);
  assert.equal(client.slot?.replica, 'b');
  assert.equal(admission.inFlight('a'), 1, 'what drains keeps what it holds');
});

test('admission: who leaves the queue is not missed', () => {
  const admission = version(['a']);
  const { client: holder } = enter(admission, 0);
  const { client: gone, ticket } = enter(admission, 1);
  const { client: next } = enter(admission, 2);
  admission.leave(ticket);
  holder.slot?.release(3);
  assert.equal(gone.slot, undefined);
  assert.equal(next.slot?.replica, 'a');
});

test('admission: an unreachable replica is left alone for a while, and who found out goes first', () => {
  const admission = version(['a']);
  const first = enter(admission, 0).client;
  const second = enter(admission, 1).client;
  admission.suspend('a', 60);
  const again = new Client();
  first.slot?.release(10);
  admission.enter(again, 10, 0);
  assert.equal(admission.queued, 2);
  assert.equal(admission.nextEvent(10), 60);
  admission.advance(60);
  assert.equal(again.slot?.replica, 'a');
  again.slot?.release(70);
  assert.equal(second.slot?.replica, 'a');
});

test('admission: those in the queue can be taken out to go elsewhere', () => {
  const admission = version(['a']);
  enter(admission, 0);
  const { client } = enter(admission, 5);
  assert.deepEqual(
    admission.takeQueued((applicant) => applicant === client).map((ticket) => ticket.since),
    [5],
  );
  assert.equal(admission.queued, 0);
});

test('admission: whatever happens, no replica holds more than its limit and a free one leaves nobody waiting', () => {
  const action = fc.oneof(
    fc.constant('enter' as const),
    fc.constant('release' as const),
    fc.constant('leave' as const),
    fc.constant('wait' as const),
    fc.constant('rescale' as const),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(action, fc.nat(1000)), { maxLength: 200 }),
      fc.integer({ min: 1, max: 3 }),
      (actions, limit) => {
        const admission = version(['r0'], limit, 50);
        let clients: ReturnType<typeof enter>[] = [];
        let count = 1;
        let now = 0;
        for (const [what, pick] of actions) {
          now += 1;
          const chosen = clients[pick % Math.max(1, clients.length)];
          if (what === 'enter') clients.push(enter(admission, now));
          else if (what === 'release') chosen?.client.slot?.release(now);
          else if (what === 'leave' && chosen) admission.leave(chosen.ticket);
          else if (what === 'wait') admission.advance(now);
          else if (what === 'rescale') {
            count = pick % 4;
            const replicas = Array.from({ length: count }, (_, index) => replica(`r${index}`));
            admission.configure({ maxConcurrent: limit, maxQueueWaitMs: 50 }, replicas, now);
          }
          if (what === 'release' || what === 'leave') clients = clients.filter((client) => client !== chosen);
          const loads = Array.from({ length: count }, (_, index) => admission.inFlight(`r${index}`));
          assert.ok(
            loads.every((load) => load >= 0 && load <= limit),
            `loads ${loads}`,
          );
          assert.ok(
            admission.queued === 0 || loads.every((load) => load === limit),
            `queued ${admission.queued}, loads ${loads}`,
          );
        }
      },
    ),
  );
});
