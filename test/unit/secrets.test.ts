import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { splitVariables } from '../../src/engine/endpoints/secrets.ts';
import { openHome } from '../../src/home/home.ts';
import { SecretStore } from '../../src/local/secret-store.ts';

test('secret variables whose values are not known at a redeploy stay as they are stored, beside those that are given', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-secrets-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const store = new SecretStore(openHome({ AKSML_HOME: folder }));
  const variables = { PLAIN: 'p', A: `\${secret:A_SOURCE}`, B: `\${secret:B_SOURCE}` };
  const redeploy = async (
    environment: Record<string, string>,
    wished: Record<string, string> = variables,
    names: readonly string[] = [],
  ) => {
    const { plain, secret } = splitVariables(wished, { environment, names, mayBeStored: true });
    assert.deepEqual(plain, wished === variables ? { PLAIN: 'p' } : {});
    await store.merge('web', { environmentVariables: { web: secret } }, ['web']);
    return store.environmentVariables('web', 'web');
  };
  assert.deepEqual(await redeploy({ A_SOURCE: 'a', B_SOURCE: 'b' }), { A: 'a', B: 'b' });
  assert.deepEqual(await redeploy({ B_SOURCE: 'changed' }), { A: 'a', B: 'changed' });
  assert.deepEqual(await redeploy({}, { A: variables.A }), { A: 'a' }, 'what is not referred to any more goes');
  assert.deepEqual(await redeploy({}, { A: variables.A, OWN: 'v' }, ['OWN']), { A: 'a', OWN: 'v' });
  assert.deepEqual(
    await redeploy({}, { A: variables.A }, ['OWN', 'NEVER']),
    { A: 'a', OWN: 'v' },
    'a record names variables without their values',
  );
});
