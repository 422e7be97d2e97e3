import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importKeys, verifySignature } from '../../src/serving/signed-token.ts';

interface Group {
  readonly comment: string;
  readonly private?: Record<string, unknown>;
  readonly public?: Record<string, unknown>;
  readonly tests: readonly {
    readonly tcId: number;
    readonly comment: string;
    readonly jws: unknown;
    readonly result: string;
  }[];
}

const vectors = join(
  import.meta.dirname,
  '../../../shared/fixtures/suites/jwt-wycheproof/json_web_signature_test.json',
);
const skip = existsSync(vectors) ? false : 'the Wycheproof vectors are not on this machine';

test('signatures: every Wycheproof vector is judged as it should be by an RS256 verifier', { skip }, async () => {
  const { testGroups }: { testGroups: readonly Group[] } = JSON.parse(readFileSync(vectors, 'utf8'));
  const isOurs = ({ public: key }: Group) => key?.['kty'] === 'RSA' && key['alg'] === 'RS256' && key['use'] !== 'enc';
  const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' });
  let accepted = 0;
  let refused = 0;
  for (const group of testGroups) {
    if (!isOurs(group) && group.public)
      await assert.rejects(importKeys([group.public]), `${group.comment} is no key for us`);
    const keys = await importKeys([(isOurs(group) && group.public) || { ...foreign }]);
    for (const { tcId, comment, jws, result } of group.tests) {
      if (typeof jws !== 'string') continue;
      const payload = await verifySignature(jws, keys);
      const isValid = isOurs(group) && result !== 'invalid' && headerOf(jws)?.['alg'] === 'RS256';
      if (payload !== undefined) assert.ok(isValid, `${tcId} ${comment} was accepted`);
      else if (isValid) assert.notEqual(result, 'valid', `${tcId} ${comment} was refused`);
      if (payload === undefined) refused += 1;
      else accepted += 1;
    }
  }
  assert.ok(accepted > 0 && refused > 100, `${accepted} accepted, ${refused} refused`);
});

function headerOf(jws: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString());
  } catch {
    return undefined;
  }
}
