import assert from 'node:assert/strict';
import { createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { ClusterKeys } from '../../src/cluster/router/cluster-keys.ts';
import { serveTokens } from '../../src/cluster/router/token-socket.ts';
import { TokenVerifier } from '../../src/cluster/router/token-verifier.ts';
import { importKeys } from '../../src/serving/signed-token.ts';

const ISSUER = 'https://kubernetes.default.svc';
const AUDIENCE = 'https://aksml.dev/team/web';
const UID = '7c1f0e0e-0000-4000-8000-000000000001';
const NOW = 1_800_000_000;

const pair = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const ours = pair();
const next = pair();
const foreign = pair();
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let keys: ClusterKeys;

before(async () => {
  keys = { issuer: ISSUER, keys: await imported({ ours: ours.publicKey }) };
});

function imported(named: Readonly<Record<string, KeyObject>>) {
  return importKeys(
    Object.entries(named).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, alg: 'RS256' })),
  );
}

const encoded = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

const HEADER = { alg: 'RS256', kid: 'ours' };
const CLAIMS = {
  iss: ISSUER,
  aud: [AUDIENCE],
  exp: NOW + 3600,
  iat: NOW,
  nbf: NOW,
  sub: 'system:serviceaccount:team:web.tokens',
  'kubernetes.io': { namespace: 'team', serviceaccount: { name: 'web.tokens', uid: UID } },
};

function signed(header: unknown, claims: unknown, key: KeyObject = ours.privateKey): string {
  const text = `${encoded(header)}.${encoded(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}

function verifier(fetchKeys: () => Promise<ClusterKeys> = async () => keys, now = () => NOW * 1000): TokenVerifier {
  return new TokenVerifier({ fetchKeys, onError: () => undefined, now });
}

test('tokens: one that the cluster made for the endpoint opens it until it expires', async () => {
  assert.equal(await verifier().verify(AUDIENCE, UID, signed(HEADER, CLAIMS)), NOW + 3600);
  const several = { ...CLAIMS, aud: ['https://kubernetes.default.svc', AUDIENCE] };
  assert.equal(await verifier().verify(AUDIENCE, UID, signed(HEADER, several)), NOW + 3600);
  const fresh = { ...CLAIMS, nbf: NOW + 2 };
  assert.equal(
    await verifier().verify(AUDIENCE, UID, signed(HEADER, fresh)),
    NOW + 3600,
    'a clock that is a bit ahead',
  );
});

const jwkOfForeign = foreign.publicKey.export({ format: 'jwk' });
const pem = ours.publicKey.export({ format: 'pem', type: 'spki' });

function confused(): string {
  const text = `${encoded({ alg: 'HS256', kid: 'ours' })}.${encoded(CLAIMS)}`;
  return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
}

function es256(): string {
  const text = `${encoded({ alg: 'ES256', kid: 'ours' })}.${encoded(CLAIMS)}`;
  const signature = createSign('SHA256').update(text).sign({ key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

const [head = '', body = '', signature = ''] = signed(HEADER, CLAIMS).split('.');
const ATTACKS: Readonly<Record<string, () => string>> = {
  'no algorithm': () => `${encoded({ alg: 'none', kid: 'ours' })}.${body}.`,
  'no algorithm, in other letters': () => `${encoded({ alg: 'nOnE', kid: 'ours' })}.${body}.`,
  'no algorithm, with the signature of another token': () =>
    `${encoded({ alg: 'none', kid: 'ours' })}.${body}.${signature}`,
  'HMAC with the public key as its secret': confused,
  'an elliptic curve': es256,
  'RS512, though the key is ours': () => signed({ alg: 'RS512', kid: 'ours' }, CLAIMS),
  'PS256, though the key is ours': () => signed({ alg: 'PS256', kid: 'ours' }, CLAIMS),
  'a key in its own header': () => signed({ ...HEADER, jwk: jwkOfForeign }, CLAIMS, foreign.privateKey),
  'a key in its own header, signed by ours': () => signed({ ...HEADER, jwk: jwkOfForeign }, CLAIMS),
  'the address of a key': () => signed({ ...HEADER, jku: 'https://evil.example/jwks' }, CLAIMS),
  'the address of a certificate': () => signed({ ...HEADER, x5u: 'https://evil.example/cert' }, CLAIMS),
  'a certificate': () => signed({ ...HEADER, x5c: ['MIIB'] }, CLAIMS),
  'critical extensions': () => signed({ ...HEADER, crit: ['exp'] }, CLAIMS),
  'an unencoded payload': () => signed({ ...HEADER, b64: false, crit: ['b64'] }, CLAIMS),
  'a foreign key under our name': () => signed(HEADER, CLAIMS, foreign.privateKey),
  'no name of a key': () => signed({ alg: 'RS256' }, CLAIMS),
  'a path as the name of a key': () => signed({ alg: 'RS256', kid: '../../../../dev/null' }, CLAIMS),
  'a query as the name of a key': () => signed({ alg: 'RS256', kid: "ours' UNION SELECT 'x" }, CLAIMS),
  'a list as the name of a key': () => signed({ alg: 'RS256', kid: ['ours'] }, CLAIMS),
  'an inherited member as the name of a key': () => signed({ alg: 'RS256', kid: '__proto__' }, CLAIMS),
  'no signature': () => `${head}.${body}.`,
  'no signature and no dot': () => `${head}.${body}`,
  'five parts': () => `${head}.${body}.${signature}.${signature}.${signature}`,
  'a changed payload': () => `${head}.${encoded({ ...CLAIMS, exp: NOW + 999_999 })}.${signature}`,
  'a changed header': () => `${encoded({ ...HEADER, typ: 'JWT' })}.${body}.${signature}`,
  'another issuer': () => signed(HEADER, { ...CLAIMS, iss: 'https://evil.example' }),
  'no issuer': () => signed(HEADER, { ...CLAIMS, iss: undefined }),
  'the audience of another endpoint': () => signed(HEADER, { ...CLAIMS, aud: [`${AUDIENCE}2`] }),
  'the audience as a part of another': () => signed(HEADER, { ...CLAIMS, aud: [`${AUDIENCE}/x`, 'x'] }),
  'no audience': () => signed(HEADER, { ...CLAIMS, aud: undefined }),
  expired: () => signed(HEADER, { ...CLAIMS, exp: NOW }),
  'no expiry': () => signed(HEADER, { ...CLAIMS, exp: undefined }),
  'an expiry that is a text': () => signed(HEADER, { ...CLAIMS, exp: String(NOW + 3600) }),
  'an endless expiry': () => signed(HEADER, JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e999')),
  'not yet good': () => signed(HEADER, { ...CLAIMS, nbf: NOW + 120 }),
  'another ServiceAccount': () =>
    signed(HEADER, { ...CLAIMS, 'kubernetes.io': { serviceaccount: { uid: 'another' } } }),
  'no ServiceAccount': () => signed(HEADER, { ...CLAIMS, 'kubernetes.io': undefined }),
  'a payload that is a list': () => signed(HEADER, [CLAIMS]),
  'a payload that is no JSON': () => signed(HEADER, 'hello'),
  'more than 8 KB': () => signed(HEADER, { ...CLAIMS, padding: 'x'.repeat(8192) }),
  nothing: () => '',
  'only dots': () => '..',
  'no base64': () => `${head}.${body}.!!!!`,
};

for (const [what, token] of Object.entries(ATTACKS)) {
  test(`tokens: refused is ${what}`, async () => {
    assert.equal(await verifier().verify(AUDIENCE, UID, token()), undefined);
  });
}

test('tokens: one without a ServiceAccount opens no endpoint that has none', async () => {
  const nobody = signed(HEADER, { ...CLAIMS, 'kubernetes.io': { serviceaccount: { uid: '' } } });
  assert.equal(await verifier().verify(AUDIENCE, '', nobody), undefined);
});

test('tokens: a new signing key is found with the first token of it, a withdrawn one is forgotten within minutes', async () => {
  let now = NOW * 1000;
  let fetches = 0;
  let present = keys;
  const rotating = verifier(
    async () => {
      fetches += 1;
      return present;
    },
    () => now,
  );
  const old = signed(HEADER, CLAIMS);
  const young = signed({ ...HEADER, kid: 'next' }, CLAIMS, next.privateKey);
  assert.ok(await rotating.verify(AUDIENCE, UID, old));
  assert.equal(await rotating.verify(AUDIENCE, UID, young), undefined);
  assert.equal(fetches, 1, 'an unknown key right after a look is not looked for again');
  present = { issuer: ISSUER, keys: await imported({ ours: ours.publicKey, next: next.publicKey }) };
  now += 11_000;
  const both = await Promise.all([rotating.verify(AUDIENCE, UID, young), rotating.verify(AUDIENCE, UID, young)]);
  assert.deepEqual(both, [NOW + 3600, NOW + 3600]);
  assert.equal(fetches, 2);
  present = { issuer: ISSUER, keys: await imported({ next: next.publicKey }) };
  now += 6 * 60_000;
  assert.ok(await rotating.verify(AUDIENCE, UID, old), 'who comes first after the time does not wait');
  assert.equal(await rotating.verify(AUDIENCE, UID, old), undefined);
  assert.ok(await rotating.verify(AUDIENCE, UID, young));
});

test('tokens: names of keys that nobody has do not make it ask the API server again and again', async () => {
  let fetches = 0;
  const flooded = verifier(async () => {
    fetches += 1;
    return keys;
  });
  const tokens = Array.from({ length: 500 }, (_, index) => signed({ ...HEADER, kid: `made-up-${index}` }, CLAIMS));
  for (const token of tokens) assert.equal(await flooded.verify(AUDIENCE, UID, token), undefined);
  assert.equal(fetches, 1);
});

test('tokens: while the API server does not answer, the keys that are known stay good', async () => {
  let now = NOW * 1000;
  let isDown = false;
  const patient = verifier(
    async () => {
      if (isDown) throw new Error('no answer');
      return keys;
    },
    () => now,
  );
  assert.ok(await patient.verify(AUDIENCE, UID, signed(HEADER, CLAIMS)));
  isDown = true;
  for (let minutes = 0; minutes < 30; minutes += 6) {
    now += 6 * 60_000;
    assert.ok(await patient.verify(AUDIENCE, UID, signed(HEADER, CLAIMS)));
  }
});

test('tokens: the socket answers line by line, and ends with who asks anything else', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tokens-'));
  const path = join(folder, 'tokens.sock');
  const server = await serveTokens(path, async (audience, uid, token) => verifier().verify(audience, uid, token));
  t.after(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  const good = `VERIFY ${AUDIENCE} ${UID} ${signed(HEADER, CLAIMS)}\n`;
  assert.equal(await exchange(path, [good]), `OK ${NOW + 3600}\n`);
  assert.equal(
    await exchange(path, [`VERIFY ${AUDIENCE} ${UID} x.y.z\n`, good, good]),
    `NO\nOK ${NOW + 3600}\nOK ${NOW + 3600}\n`,
  );
  assert.equal(await exchange(path, [...good]), `OK ${NOW + 3600}\n`, 'byte by byte');
  for (const line of [
    '\n',
    'VERIFY\n',
    `VERIFY ${AUDIENCE} ${UID}\n`,
    'GET / HTTP/1.1\n',
    `VERIFY a b c d\n`,
    '\0\xff\n',
  ]) {
    assert.equal(await exchange(path, [line, good]), 'NO\n', JSON.stringify(line));
  }
  assert.equal(await exchange(path, ['x'.repeat(100_000)]), 'NO\n');
});

/** What comes back until the other end, or this one after its last line, is done. */
function exchange(path: string, parts: readonly string[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = connect(path);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(text));
  for (const part of parts) socket.write(part, 'latin1');
  socket.end();
  return promise;
}
