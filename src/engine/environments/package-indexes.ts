import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import type { PipConfiguration } from './pip-configuration.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Where a definition's `pip:` section says that packages come from. */
export interface PackageIndexes {
  readonly indexUrl?: string;
  readonly extraIndexUrls: readonly string[];
  readonly findLinks: readonly string[];
  readonly trustedHosts: readonly string[];
  readonly noIndex: boolean;
  readonly preReleases: boolean;
}

export const NO_INDEXES: PackageIndexes = {
  extraIndexUrls: [],
  findLinks: [],
  trustedHosts: [],
  noIndex: false,
  preReleases: false,
};

/**
 * The environment for uv: indexes as variables, because URLs may hold credentials and arguments are visible to other users.
 * What the definition names wins over the user's uv settings, which win over the user's pip settings.
 */
export function indexVariables(indexes: PackageIndexes, environment: Variables, pip: PipConfiguration): Variables {
  const usersIndex = environment['UV_DEFAULT_INDEX'] ?? environment['UV_INDEX_URL'];
  const usersExtra = join(environment['UV_INDEX'], environment['UV_EXTRA_INDEX_URL']);
  const index = indexes.indexUrl ?? usersIndex ?? pip.indexUrl;
  const extra = join(...indexes.extraIndexUrls, ...(usersExtra === '' ? pip.extraIndexUrls : [usersExtra]));
  const links = [...indexes.findLinks, ...(environment['UV_FIND_LINKS'] ? [] : pip.findLinks)].filter(exists);
  const hosts = join(environment['UV_INSECURE_HOST'], ...indexes.trustedHosts, ...pip.trustedHosts);
  const certificate = environment['SSL_CERT_FILE'] ?? pip.certificate ?? environment['REQUESTS_CA_BUNDLE'];
  return {
    ...environment,
    UV_INDEX_URL: undefined,
    UV_EXTRA_INDEX_URL: undefined,
    UV_DEFAULT_INDEX: index,
    UV_INDEX: extra || undefined,
    UV_FIND_LINKS: [environment['UV_FIND_LINKS'], ...links].filter(Boolean).join(',') || undefined,
    UV_INSECURE_HOST: hosts || undefined,
    SSL_CERT_FILE: certificate,
  };
}

function join(...parts: readonly (string | undefined)[]): string {
  return parts.filter(Boolean).join(' ');
}

/** pip passes over folders that do not exist; uv refuses them. */
function exists(link: string): boolean {
  return !isAbsolute(link) || existsSync(link);
}
