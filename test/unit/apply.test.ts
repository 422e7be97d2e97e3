import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../src/contract/endpoint.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { applyAndWait } from '../../src/engine/endpoints/apply.ts';
import type { Engine } from '../../src/engine/engine.ts';

const wanted = { metadata: { name: 'web' } } as Endpoint;
const engine = { target: { name: 'prod', applyEndpoint: async (endpoint: Endpoint) => endpoint } } as unknown as Engine;

function apply(describe: () => Promise<void>) {
  const warned: string[] = [];
  const onProgress = (event: { readonly type: string; readonly problem?: { readonly message: string } }) => {
    if (event.problem) warned.push(event.problem.message);
  };
  return { warned, applied: applyAndWait(engine, wanted, { wait: false, built: { describe } }, { onProgress }) };
}

test('an endpoint that was handed over is not called failed because its image could not be described', async () => {
  const { warned, applied } = apply(async () => {
    throw new AksmlError('registry.unreachable', 'The registry does not answer.');
  });
  assert.equal(await applied, wanted);
  assert.match(warned.join(), /could not be stored beside it: The registry does not answer/);
});

test('what is wrong with aksml itself while an image is described is not hidden', async () => {
  const { applied } = apply(async () => {
    throw new TypeError('no such function');
  });
  await assert.rejects(applied, TypeError);
});
