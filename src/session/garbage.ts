import { relative, sep } from 'node:path';
import type { Endpoint } from '../contract/endpoint.ts';
import type { CollectedView } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import { readBundle } from '../engine/endpoints/image.ts';
import { clearCaches, collectEnvironments, FreedBytes } from '../engine/environments/collect.ts';
import { type GcResult, type GcRoots, gc } from '../engine/registry/gc.ts';
import { openLayout } from '../engine/registry/layout.ts';
import { getRevision, listRevisions, type RevisionStore } from '../engine/revisions/revisions.ts';
import { listWorkspaces } from '../engine/workspace/workspace.ts';
import type { Home } from '../home/home.ts';

export interface CollectionRequest {
  readonly home: Home;
  /** Those of this machine. */
  readonly endpoints: readonly Endpoint[];
  /** Only tell what would be removed. */
  readonly dryRun: boolean;
  /** Also what is only there to be fast. */
  readonly caches: boolean;
  readonly signal: AbortSignal;
}

type Row = readonly [place: string, count: number, bytes: number];

/** Removes what nothing needs, from every workspace on this machine: the caches that they share can be judged only together. */
export async function collectGarbage(request: CollectionRequest): Promise<CollectedView> {
  const { home, endpoints, dryRun, signal } = request;
  const workspaces = await listWorkspaces(home);
  const stores = workspaces.map(({ folder }) => ({ registry: openLayout(home, folder) }));
  const roots = await rootsOf(endpoints, stores, signal);
  const environments = await environmentsOf(home, endpoints, stores, signal);
  const results: (GcResult & { readonly workspaceName: string })[] = [];
  for (const { name, folder } of workspaces) {
    const freed = await gc(home, { folder }, { roots, clock: () => new Date(), dryRun, signal });
    results.push({ workspaceName: name, ...freed });
  }
  // Each sweep looks at the shared caches too; a real one leaves nothing there for the next to find, a dry one does.
  const caches = dryRun ? results.slice(0, 1) : results;
  const rows: readonly Row[] = [
    ...results.map(
      ({ workspaceName, blobs, uploads }): Row => [
        `workspace ${workspaceName}`,
        blobs.count + uploads.count,
        blobs.bytes + uploads.bytes,
      ],
    ),
    ['unpacked models', sum(caches, ({ models }) => models.count), sum(caches, ({ models }) => models.bytes)],
    ['bundles', sum(caches, ({ bundles }) => bundles.count), sum(caches, ({ bundles }) => bundles.bytes)],
    ...(await collectInstalled(request, environments)),
  ];
  return {
    dryRun,
    bytes: sum(rows, ([, , bytes]) => bytes),
    freed: rows.map(([place, count, bytes]) => ({ place, count, bytes })),
  };
}

async function collectInstalled(
  { home, dryRun, caches, signal }: CollectionRequest,
  live: ReadonlySet<string>,
): Promise<Row[]> {
  const freed = new FreedBytes();
  const options = { clock: () => new Date(), dryRun, signal, freed };
  const environments = await collectEnvironments(home, live, options);
  const ofEnvironments = freed.bytes;
  const rows: Row[] = [['environments', environments, ofEnvironments]];
  if (caches) rows.push(['caches', await clearCaches(home, options), freed.bytes - ofEnvironments]);
  return rows;
}

function sum<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((total, item) => total + amount(item), 0);
}

/** What lives, and must stay, whatever workspace it was deployed from. */
async function rootsOf(
  endpoints: readonly Endpoint[],
  stores: readonly RevisionStore[],
  signal: AbortSignal,
): Promise<GcRoots> {
  const manifests = new Set<string>();
  const trees = new Set<string>();
  for (const { metadata, spec } of endpoints) {
    for (const version of spec.versions) {
      manifests.add(version.revision);
      for (const { treeDigest } of await modelsOf(metadata.name, version.name, version.revision, stores, signal))
        trees.add(treeDigest);
    }
  }
  return {
    manifests,
    trees,
    bundles: new Set(endpoints.flatMap(imagesOf).map((image) => image.replace('sha256:', ''))),
  };
}

/** Those of a failed rollout and of the one that still serves. */
function imagesOf({ spec, status }: Endpoint): string[] {
  const running = (status?.versions ?? []).flatMap((version) =>
    [version.servingImage ?? [], version.replicas.map(({ image }) => image)].flat(),
  );
  return [...spec.versions.map(({ image }) => image), ...running];
}

/**
 * Those that something runs in, and those of every revision that an endpoint can be rolled back to at once. What a deleted endpoint ran in
 * is installed again, from the lock in its history, if it is ever wanted.
 */
async function environmentsOf(
  home: Home,
  endpoints: readonly Endpoint[],
  stores: readonly RevisionStore[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const hashes = new Set(endpoints.flatMap(({ spec }) => spec.versions.map(({ environment }) => environment.hash)));
  for (const image of endpoints.flatMap(imagesOf)) {
    const python = (await readBundle(home, image))?.python;
    const [hash] = python === undefined ? [] : relative(home.environments, python).split(sep);
    if (hash !== undefined) hashes.add(hash);
  }
  for (const { metadata } of endpoints) {
    for (const store of stores) {
      const revisions = await listRevisions(store, metadata.name, undefined, signal);
      for (const { revision } of revisions) hashes.add(revision.environment.hash);
    }
  }
  return hashes;
}

async function modelsOf(
  endpoint: string,
  version: string,
  digest: string,
  stores: readonly RevisionStore[],
  signal: AbortSignal,
) {
  for (const store of stores) {
    try {
      return (await getRevision(store, endpoint, version, digest, signal)).revision.models;
    } catch (error) {
      if (!AksmlError.is(error, 'revision.notFound')) throw error;
    }
  }
  return [];
}
