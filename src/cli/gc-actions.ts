import type { Endpoint } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import { type GcResult, type GcRoots, gc } from '../engine/registry/gc.ts';
import { openLayout } from '../engine/registry/layout.ts';
import { getRevision, type RevisionStore } from '../engine/revisions/revisions.ts';
import { listWorkspaces } from '../engine/workspace/workspace.ts';
import type { CommandContext } from './context.ts';
import { formatBytes } from './progress.ts';
import { type Result, valueResult } from './result.ts';

/** Of every workspace on this machine: the caches that they share can be judged only together. */
export async function collectGarbage(context: CommandContext, dryRun: boolean): Promise<Result> {
  const { home, run } = context;
  const workspaces = await listWorkspaces(home);
  const endpoints = await (await context.local()).listEndpoints(run.signal);
  const roots = await rootsOf(
    endpoints,
    workspaces.map(({ folder }) => ({ registry: openLayout(home, folder) })),
    run.signal,
  );
  const results: (GcResult & { readonly workspaceName: string })[] = [];
  for (const { name, folder } of workspaces) {
    const freed = await gc(home, { folder }, { roots, clock: () => new Date(), dryRun, signal: run.signal });
    results.push({ workspaceName: name, ...freed });
  }
  // Each sweep looks at the shared caches too; a real one leaves nothing there for the next to find, a dry one does.
  const caches = dryRun ? results.slice(0, 1) : results;
  const rows = [
    ...results.map(
      ({ workspaceName, blobs, uploads }) =>
        [`workspace ${workspaceName}`, blobs.count + uploads.count, blobs.bytes + uploads.bytes] as const,
    ),
    ['unpacked models', sum(caches, ({ models }) => models.count), sum(caches, ({ models }) => models.bytes)] as const,
    ['bundles', sum(caches, ({ bundles }) => bundles.count), sum(caches, ({ bundles }) => bundles.bytes)] as const,
  ];
  return valueResult(
    {
      dryRun,
      bytes: sum(rows, ([, , bytes]) => bytes),
      freed: rows.map(([place, count, bytes]) => ({ place, count, bytes })),
    },
    {
      kind: 'rows',
      columns: ['PLACE', 'REMOVED', dryRun ? 'WOULD FREE' : 'FREED'],
      rows: rows.map(([place, count, bytes]) => [place, count, formatBytes(bytes)]),
      empty: 'There is nothing to remove.',
    },
  );
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
