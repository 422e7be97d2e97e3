import type { Model } from '../../contract/model.ts';
import type { CodeReference } from '../../contract/revision.ts';

/** CycloneDX in JSON, as an artifact type and as a media type. */
export const SBOM_TYPE = 'application/vnd.cyclonedx+json';

export interface SbomParts {
  /** `HOST/PATH` of the image. */
  readonly repository: string;
  /** Digest of the image's manifest. */
  readonly digest: string;
  readonly base: { readonly reference?: string; readonly digest: string };
  /** Exact requirements, a line each. */
  readonly lock: readonly string[];
  readonly models: readonly Pick<Model, 'name' | 'version' | 'treeDigest'>[];
  readonly code?: Pick<CodeReference, 'digest'>;
  /** Of aksml. */
  readonly version: string;
}

/**
 * What aksml put into an image, and on what: CycloneDX 1.6, without times, so that equal images have equal ones. The packages of the base
 * image's own system are told by the base image's bill, not here.
 */
export function softwareBill(parts: SbomParts): Uint8Array {
  const { base, code, models, lock } = parts;
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      tools: { components: [{ type: 'application', name: 'aksml', version: parts.version }] },
      component: {
        type: 'container',
        'bom-ref': 'image',
        name: parts.repository,
        version: parts.digest,
        purl: imageUrl(parts.repository, parts.digest),
      },
    },
    components: [
      {
        type: 'container',
        'bom-ref': 'base',
        name: base.reference ?? 'base image',
        version: base.digest,
        hashes: [sha256(base.digest)],
      },
      ...lock.flatMap(packageOf),
      ...models.map(({ name, version, treeDigest }) => ({
        type: 'machine-learning-model',
        'bom-ref': `model:${name}:${version}`,
        name,
        version: String(version),
        hashes: [sha256(treeDigest)],
      })),
      ...(code === undefined ? [] : [{ type: 'file', 'bom-ref': 'code', name: 'code', hashes: [sha256(code.digest)] }]),
    ],
  };
  return Buffer.from(JSON.stringify(bill));
}

function packageOf(line: string): unknown[] {
  const [, name, version] = /^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)/.exec(line) ?? [];
  if (name !== undefined && version !== undefined) {
    const purl = `pkg:pypi/${name.toLowerCase().replace(/[-_.]+/g, '-')}@${version}`;
    return [{ type: 'library', 'bom-ref': purl, name, version, purl }];
  }
  const [, direct, url] = /^([A-Za-z0-9._-]+)\s*@\s*(\S+)/.exec(line) ?? [];
  if (direct === undefined || url === undefined) return [];
  return [
    {
      type: 'library',
      'bom-ref': `pypi:${direct}`,
      name: direct,
      externalReferences: [{ type: 'distribution', url }],
    },
  ];
}

/** Package URL of type `oci`. */
function imageUrl(repository: string, digest: string): string {
  const name = repository.slice(repository.lastIndexOf('/') + 1).toLowerCase();
  return `pkg:oci/${name}@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(repository)}`;
}

function sha256(digest: string): { readonly alg: string; readonly content: string } {
  return { alg: 'SHA-256', content: digest.slice('sha256:'.length) };
}
