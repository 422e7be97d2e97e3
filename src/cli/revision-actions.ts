import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import type { Revision } from '../contract/revision.ts';
import { findEndpoint } from '../engine/endpoints/deploy.ts';
import * as history from '../engine/endpoints/history.ts';
import { pickVersion } from '../engine/endpoints/versions.ts';
import type { Engine } from '../engine/engine.ts';
import { checkoutRevision } from '../engine/revisions/checkout.ts';
import {
  diffRevisions,
  diffWithWorkingTree,
  type FileChange,
  type RevisionDiff,
  workingTreeOf,
} from '../engine/revisions/diff.ts';
import { getRevision, revisionChanges } from '../engine/revisions/revisions.ts';
import type { ValueChange } from '../engine/revisions/value-change.ts';
import type { CommandContext, ServiceReference } from './context.ts';
import { changing } from './deploying.ts';
import { type Result, valueResult } from './result.ts';
import { endpointResult, localTime } from './service-view.ts';

interface VersionOption extends ServiceReference {
  readonly versionName: string | undefined;
}

export async function showHistory(context: CommandContext, options: VersionOption): Promise<Result> {
  const { name, versionName } = options;
  const engine = await engineOfPast(context, options);
  const entries = await history.serviceHistory(engine, name, versionName, context.run.signal);
  const described = entries.map((entry) => ({
    ...entry,
    changed: revisionChanges(entry.revision, predecessor(entries, entry)),
  }));
  return valueResult(
    described.map(({ revision, digest, current, changed }) => ({ ...revision, digest, current, changed })),
    {
      kind: 'rows',
      columns: ['REVISION', 'VERSION', 'WHEN', 'WHO', 'CHANGED', 'MODELS', 'COMMIT'],
      rows: described.map(({ revision, current, changed }) => [
        `${revision.number}${current ? ' (current)' : ''}`,
        revision.version,
        localTime(revision.createdTime),
        revision.createdBy,
        changed.join(', '),
        revision.models.map(({ id }) => id).join(', '),
        revision.git['azureml.git.commit']?.slice(0, 10),
      ]),
      empty: `${name} has no history.`,
    },
  );
}

/** The history of what was deleted is in the workspace, whatever the compute target was. */
async function engineOfPast(context: CommandContext, service: ServiceReference): Promise<Engine> {
  try {
    return await context.engineOf(service);
  } catch (error) {
    if (AksmlError.is(error, 'service.notFound') || AksmlError.is(error, 'service.damaged')) return context.engine();
    throw error;
  }
}

function predecessor(
  entries: readonly history.HistoryEntry[],
  { revision }: history.HistoryEntry,
): Revision | undefined {
  return entries.find(
    ({ revision: other }) => other.version === revision.version && other.number === revision.number - 1,
  )?.revision;
}

interface DiffOptions extends VersionOption {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** Two revisions, or a revision and a folder. What is left out is the present revision, and before it the one it replaced. */
export async function showDiff(context: CommandContext, options: DiffOptions): Promise<Result> {
  const engine = await engineOfPast(context, options);
  const { signal } = context.run;
  const version = await versionOf(engine, options, signal);
  const revisionAt = async (reference: number | 'latest') =>
    (await getRevision(engine, options.name, version, reference, signal)).revision;
  const folder = [options.from, options.to].find((place) => place !== undefined && !isNumber(place));
  if (folder !== undefined) {
    const base = await revisionAt(
      isNumber(options.from) ? Number(options.from) : await currentNumber(engine, options, version, signal),
    );
    const code = await diffWithWorkingTree(
      engine,
      base,
      workingTreeOf(base, resolve(context.host.cwd, folder)),
      context.run,
    );
    return valueResult({ from: base.number, to: folder, code }, { kind: 'patch', lines: codeLines(code) });
  }
  const current = await currentNumber(engine, options, version, signal);
  const from = isNumber(options.from)
    ? Number(options.from)
    : Math.max(1, (current === 'latest' ? (await revisionAt('latest')).number : current) - 1);
  const to = await revisionAt(isNumber(options.to) ? Number(options.to) : current);
  const diff = await diffRevisions(engine, await revisionAt(from), to, signal);
  return valueResult({ from, to: to.number, ...diff }, { kind: 'patch', lines: diffLines(diff) });
}

function isNumber(place: string | undefined): boolean {
  return place !== undefined && /^[1-9]\d*$/.test(place);
}

/** Of what the endpoint asks for; the newest one when it is deleted. */
async function currentNumber(
  engine: Engine,
  { name }: VersionOption,
  version: string,
  signal: AbortSignal,
): Promise<number | 'latest'> {
  const endpoint = await findEndpoint(engine, name, signal);
  return endpoint?.spec.versions.find((candidate) => candidate.name === version)?.revisionNumber ?? 'latest';
}

function diffLines({ code, models, environment, settings }: RevisionDiff): string[] {
  const sections: readonly (readonly [string, readonly string[]])[] = [
    ['Code', codeLines(code)],
    ['Models', valueLines(models)],
    ['Environment', valueLines(environment.definition)],
    ['Installed packages', environment.lock.flatMap(({ before, after }) => lineChange(before, after))],
    ['Configuration', valueLines(settings)],
  ];
  const changed = sections.filter(([, lines]) => lines.length > 0);
  return changed.length === 0 ? ['Nothing differs.'] : changed.flatMap(([title, lines]) => [`${title}:`, ...lines]);
}

function codeLines(changed: readonly FileChange[]): string[] {
  return changed.flatMap(({ kind, path, patch }) =>
    patch === undefined ? [`${kind} ${path}`] : patch.trimEnd().split('\n'),
  );
}

function valueLines(changed: readonly ValueChange[]): string[] {
  return changed.flatMap(({ path, before, after }) =>
    lineChange(
      before === undefined ? undefined : `${path}: ${before}`,
      after === undefined ? undefined : `${path}: ${after}`,
    ),
  );
}

function lineChange(before: unknown, after: unknown): string[] {
  return [...(before === undefined ? [] : [`-${before}`]), ...(after === undefined ? [] : [`+${after}`])];
}

export async function rollBack(
  context: CommandContext,
  options: VersionOption & { readonly to: number | undefined; readonly noWait: boolean | undefined },
): Promise<Result> {
  const engine = await context.engineOf(options);
  const request = {
    name: options.name,
    wait: options.noWait !== true,
    ...(options.versionName === undefined ? {} : { versionName: options.versionName }),
    ...(options.to === undefined ? {} : { to: options.to }),
  };
  const endpoint = await changing(context, options.name, (run) => history.rollback(engine, request, run));
  return endpointResult(engine, endpoint);
}

export async function checkOut(
  context: CommandContext,
  options: VersionOption & {
    readonly revision: number;
    readonly folder: string;
    readonly overwrite: boolean | undefined;
  },
): Promise<Result> {
  const engine = await engineOfPast(context, options);
  const version = await versionOf(engine, options, context.run.signal);
  const { revision } = await getRevision(engine, options.name, version, options.revision, context.run.signal);
  const folder = await checkoutRevision(engine, revision, resolve(context.host.cwd, options.folder), {
    overwrite: options.overwrite === true,
    signal: context.run.signal,
  });
  return valueResult({ folder, revision: revision.number }, { kind: 'facts', facts: [['Written', folder]] });
}

/** A service that was deleted had one version, of its own name. */
async function versionOf(engine: Engine, { name, versionName }: VersionOption, signal: AbortSignal): Promise<string> {
  if (versionName !== undefined) return versionName;
  const endpoint = await findEndpoint(engine, name, signal);
  return endpoint ? pickVersion(endpoint, undefined).name : name;
}
