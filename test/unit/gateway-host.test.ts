import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOwnHost } from '../../src/local/gateway-host.ts';

const OWN: readonly (readonly [host: string | undefined, own: boolean, origins?: readonly string[]])[] = [
  [undefined, true],
  ['127.0.0.1:6789', true],
  ['localhost', true],
  ['LOCALHOST.:80', true],
  ['api.localhost:6789', true],
  ['[::1]:6789', true],
  ['192.168.1.7:6789', true],
  ['my-machine:6789', true],
  ['evil.example:6789', false],
  ['127.0.0.1.evil.example', false],
  ['localhost.evil.example', false],
  ['app.example', true, ['https://app.example']],
  ['app.example:8080', true, ['https://APP.example:443']],
  ['evil.example', false, ['https://app.example']],
  ['evil.example', true, ['*']],
];

test('only names that nobody else can give to this machine count as its own', () => {
  for (const [host, own, origins = []] of OWN) assert.equal(isOwnHost(host, origins), own, `${host} with ${origins}`);
});
