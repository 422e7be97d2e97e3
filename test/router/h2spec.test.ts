import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openPlace } from '../../scripts/cluster/place.ts';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { isOnPath } from '../../scripts/packages.ts';
import { FakeReplica } from '../conformance/fake-replica.ts';
import { installGoProgram } from '../images/go-program.ts';
import { selfSigned } from './self-signed.ts';
import { freePorts, routedEndpoint, routedVersion, startRouter } from './test-router.ts';

const VERSION = '2.2.1';
const folder = join(openPlace().cache, `h2spec-${VERSION}`);
const haproxy = await haproxyProgram();
const skip =
  typeof haproxy !== 'string'
    ? haproxy.skip
    : !existsSync(folder) && !isOnPath('go')
      ? 'h2spec is built with Go, which is not here'
      : false;

/** HAProxy takes a frame that is larger than it said, as long as it is not larger than its buffer: nothing comes of that. */
const KNOWN = ['Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE'];

test('HTTP/2 over TLS is spoken as h2spec has it', { skip }, async (t) => {
  await installGoProgram(`github.com/summerwind/h2spec/cmd/h2spec@v${VERSION}+incompatible`, folder);
  const [tlsPort = 0] = await freePorts(1, '127.0.0.1');
  const { router, remove } = await startRouter({ tlsPort });
  const replica = await FakeReplica.start('a');
  t.after(async () => {
    await remove();
    await replica.kill();
  });
  const certificates = [{ name: 'own', hosts: [], ...(await selfSigned(['localhost'])) }];
  await router.configure(
    {
      endpoints: [routedEndpoint('svc', [routedVersion('main', [replica], { maxConcurrentRequestsPerContainer: 50 })])],
      routers: [],
    },
    { hop: [], challenges: new Map(), certificates },
  );
  const path = '/api/v1/service/svc/score';
  const text = await new Promise<string>((resolve) => {
    const args = ['-h', '127.0.0.1', '-p', String(tlsPort), '-t', '-k', '-P', path, '-o', '5'];
    execFile(join(folder, 'h2spec'), args, { encoding: 'utf8' }, (_error, stdout) => resolve(stdout));
  });
  const [, total, passed] = /(\d+) tests, (\d+) passed/.exec(text) ?? [];
  assert.ok(Number(total) > 140, text.slice(-2000));
  const failed = new Set([...text.matchAll(/× \d+: (.*)/g)].map(([, what]) => what));
  assert.deepEqual([...failed], KNOWN, text.slice(text.indexOf('Failures:')));
  assert.equal(Number(passed), Number(total) - KNOWN.length);
});
