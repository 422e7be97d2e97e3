import { AksmlError } from '../../contract/error.ts';
import { isDigest, isRepository, isTag } from './reference.ts';

/** Where an image is: `mcr.microsoft.com/azureml/base:1`, taken apart by Docker's rules. */
export interface ImageReference {
  /** Host with its port, `docker.io` when none was written. */
  readonly host: string;
  readonly repository: string;
  /** A tag, or a digest (`sha256:…`), which wins when both were written; `latest` when neither was. */
  readonly reference: string;
}

const HOST = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?$/;

/** @throws AksmlError `image.badReference` */
export function parseImageReference(text: string): ImageReference {
  const [named = '', digest, ...rest] = text.split('@');
  const slash = named.indexOf('/');
  const first = slash === -1 ? '' : named.slice(0, slash);
  const hasHost = /[.:[]/.test(first) || first === 'localhost';
  const host = hasHost ? first : 'docker.io';
  const path = hasHost ? named.slice(slash + 1) : named;
  const colon = path.lastIndexOf(':');
  const tag = colon === -1 ? undefined : path.slice(colon + 1);
  const written = colon === -1 ? path : path.slice(0, colon);
  const repository = host === 'docker.io' && !written.includes('/') ? `library/${written}` : written;
  const valid =
    rest.length === 0 &&
    HOST.test(host) &&
    isRepository(repository) &&
    (tag === undefined || isTag(tag)) &&
    (digest === undefined || isDigest(digest));
  if (!valid) {
    throw new AksmlError('image.badReference', `"${text}" is not a valid image reference.`, {
      fault: 'input',
      subject: text,
      remedy: 'Write it as HOST/REPOSITORY:TAG or HOST/REPOSITORY@sha256:DIGEST, the repository in lower case.',
    });
  }
  return { host, repository, reference: digest ?? tag ?? 'latest' };
}

/** A registry as the user writes it, `HOST[:PORT][/PREFIX]`. @throws AksmlError `registry.badAddress` */
export function parseRegistryAddress(text: string): { readonly host: string; readonly prefix: string } {
  const [host = '', ...path] = text.replace(/\/+$/, '').split('/');
  const prefix = path.join('/');
  if (!HOST.test(host) || (prefix !== '' && !isRepository(prefix))) {
    throw new AksmlError('registry.badAddress', `"${text}" is not a registry address.`, {
      fault: 'input',
      subject: text,
      remedy: 'Write it as HOST[:PORT][/PREFIX], without https:// and with the prefix in lower case.',
    });
  }
  return { host, prefix };
}

/** Plain HTTP is spoken with this machine only. */
export function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
  );
}

/** Docker Hub answers the API under another name than the one images carry. */
export function apiOrigin(host: string): string {
  if (host === 'docker.io' || host === 'index.docker.io') return 'https://registry-1.docker.io';
  const url = new URL(`https://${host}`);
  return `${isLoopback(url.hostname) ? 'http' : 'https'}://${host}`;
}
