import { createHash } from 'node:crypto';
import { AksmlError } from '../../contract/error.ts';

/** The distribution specification's grammars (section "Pulling manifests"). */
const REPOSITORY = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(reference: string): boolean {
  return DIGEST.test(reference);
}

export function isRepository(text: string): boolean {
  return REPOSITORY.test(text) && text.length <= 255;
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** @throws AksmlError `registry.badName` */
export function checkRepository(repository: string): void {
  if (isRepository(repository)) return;
  throw new AksmlError(
    'registry.badName',
    `"${repository}" is not a repository name of the distribution specification.`,
  );
}

/** @throws AksmlError `registry.badName` */
export function checkTag(tag: string): void {
  if (isTag(tag)) return;
  throw new AksmlError('registry.badName', `"${tag}" is not a tag of the distribution specification.`);
}

/** @throws AksmlError `registry.badName` */
export function checkDigest(digest: string): void {
  if (DIGEST.test(digest)) return;
  throw new AksmlError('registry.badName', `"${digest}" is not a sha256 digest.`);
}

export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Single separators only: a name of this form is its own component, and never looks like an encoded one, which has `__`. */
const PLAIN_NAME = /^[a-z0-9]+([._-][a-z0-9]+)*$/;
const LONGEST_PLAIN_NAME = 100;
const SLUG_LENGTH = 64;
const HASH_LENGTH = 32;

/**
 * A path component for any model or environment name: itself where the specification allows it, otherwise something readable and 128 bits
 * of the name's hash, because repository names have no upper case, no doubled separators and no end in one. Different names never share one.
 */
export function encodeName(name: string): string {
  if (PLAIN_NAME.test(name) && name.length <= LONGEST_PLAIN_NAME) return name;
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, SLUG_LENGTH)
    .replace(/^-+|-+$/g, '');
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH);
  return `${slug || 'x'}__${hash}`;
}
