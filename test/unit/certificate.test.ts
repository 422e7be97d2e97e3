import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { certificateSecret } from '../../src/cluster/certificate-secret.ts';
import { whyDue } from '../../src/cluster/controller/certificate-keeper.ts';
import { checkCertificate } from '../../src/cluster/install/certificate.ts';
import { AksmlError } from '../../src/contract/error.ts';
import { selfSigned } from '../router/self-signed.ts';

const HOSTS = ['score.example.com'];
const good = await selfSigned(['score.example.com', '*.team.example.com']);
const other = await selfSigned(HOSTS);
const short = await selfSigned(HOSTS, 3);
const now = new Date();
const inDays = (days: number) => new Date(now.getTime() + days * 24 * 3600_000);

const refused: readonly (readonly [
  what: string,
  given: object,
  hosts: readonly string[],
  when: Date,
  subject: string,
])[] = [
  ['a file without a certificate', { certificate: 'x' }, HOSTS, now, '--ssl-cert-file'],
  [
    'a broken certificate',
    { certificate: good.certificate.replace(/\n[^\n]+\n/, '\n') },
    HOSTS,
    now,
    '--ssl-cert-file',
  ],
  ['a file without a key', { key: 'x' }, HOSTS, now, '--ssl-key-file'],
  ['the key of another certificate', { key: other.key }, HOSTS, now, '--ssl-key-file'],
  ['another host', {}, ['other.example.com'], now, '--ssl-cname'],
  ['a host two levels below a wildcard', {}, ['a.b.team.example.com'], now, '--ssl-cname'],
  ['a certificate that has ended', {}, HOSTS, inDays(31), '--ssl-cert-file'],
  ['a certificate that has not begun', {}, HOSTS, inDays(-1), '--ssl-cert-file'],
  ['a chain that does not hold', { certificate: good.certificate + other.certificate }, HOSTS, now, '--ssl-cert-file'],
];

for (const [what, given, hosts, when, subject] of refused) {
  test(`clients are never shown ${what}, and the refusal does not tell the key`, () => {
    assert.throws(
      () => checkCertificate({ ...good, ...given }, hosts, when),
      (error: unknown) =>
        AksmlError.is(error, 'certificate.invalid') &&
        error.subject === subject &&
        !JSON.stringify(error.toJSON()).includes(good.key.slice(40, 60)),
    );
  });
}

test('a certificate of nobody known, or one that ends soon, is taken with a warning', () => {
  const said = (given: typeof good) => checkCertificate(given, HOSTS, now).map(({ code }) => code);
  assert.deepEqual(said(good), ['certificate.short']);
  assert.deepEqual(said(short), ['certificate.short', 'certificate.endsSoon']);
  assert.doesNotThrow(() => checkCertificate(good, ['x.team.example.com'], now));
});

test('a certificate of an ACME server is got anew when two thirds of its life are over, it is for other hosts, or somebody asks', () => {
  const secret = certificateSecret('x', good, HOSTS, 'once');
  const hosts = HOSTS;
  const { validFrom, validTo } = new X509Certificate(good.certificate);
  const at = (part: number) => new Date(Date.parse(validFrom) + (Date.parse(validTo) - Date.parse(validFrom)) * part);
  assert.equal(whyDue(secret, { hosts }, at(0.66)), undefined);
  assert.match(whyDue(secret, { hosts, renewal: 'once' }, at(0.67)) ?? '', /two thirds/);
  assert.match(whyDue(secret, { hosts: ['other.example.com'] }, at(0)) ?? '', /host names/);
  assert.match(whyDue(secret, { hosts, renewal: 'again' }, at(0)) ?? '', /asked for/);
  assert.match(whyDue(undefined, { hosts }, at(0)) ?? '', /none/);
  assert.match(
    whyDue(certificateSecret('x', { ...good, certificate: 'x' }, HOSTS), { hosts }, at(0)) ?? '',
    /cannot be read/,
  );
});
