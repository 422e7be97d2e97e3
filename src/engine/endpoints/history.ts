import type { Endpoint, VersionSpec } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Revision } from '../../contract/revision.ts';
import type { Engine } from '../engine.ts';
import { getModel } from '../models/models.ts';
import { getRevision, listRevisions } from '../revisions/revisions.ts';
import { applyAndWait } from './apply.ts';
import { type ArchitectureFacts, judgeArchitecture } from './architecture.ts';
import { buildVersion } from './build.ts';
import { clusterFacts } from './cluster-facts.ts';
import { builtParts, secretVariables, withoutBuild } from './deploy.ts';
import { versionSettings } from './settings.ts';
import { type RunOptions, refuseErrors } from './stages.ts';
import { pickVersion } from './versions.ts';

export interface HistoryEntry {
  readonly revision: Revision;
  readonly digest: string;
  /** It is what the endpoint's spec asks for now. */
  readonly current: boolean;
}

/** Newest first. The history of a deleted endpoint can still be read. */
export async function serviceHistory(
  engine: Engine,
  name: string,
  versionName?: string,
  signal?: AbortSignal,
): Promise<HistoryEntry[]> {
  const endpoints = await engine.target.listEndpoints(signal);
  const present = endpoints.find(({ metadata }) => metadata.name === name)?.spec.versions ?? [];
  const entries = await listRevisions(engine, name, versionName);
  if (entries.length === 0 && present.length === 0) {
    throw new AksmlError(
      'service.notFound',
      `There is no service or endpoint ${JSON.stringify(name)}, and none was ever deployed.`,
      {
        fault: 'input',
        subject: name,
        remedy: 'See "aksml service list".',
      },
    );
  }
  return entries
    .map(({ revision, digest }) => ({
      revision,
      digest,
      current: present.some((version) => version.revision === digest),
    }))
    .sort((a, b) => (a.revision.createdTime < b.revision.createdTime ? 1 : -1));
}

/**
 * Deploys an earlier revision again, the one before the present one by default: its code, models, environment and settings, as a new revision.
 * @throws AksmlError `revision.notFound` | as a deploy
 */
export async function rollback(
  engine: Engine,
  request: { readonly name: string; readonly versionName?: string; readonly to?: number; readonly wait: boolean },
  options: RunOptions = {},
): Promise<Endpoint> {
  const [current, cluster] = await Promise.all([
    engine.target.getEndpoint(request.name, options.signal),
    clusterFacts(engine, options.signal),
  ]);
  const version = pickVersion(current, request.versionName);
  const revision = await revisionToRestore(engine, request, version);
  const fit = await judgeArchitecture(engine, partsOf(revision), cluster, options.signal);
  refuseErrors(
    'update.invalid',
    fit.problems.map((problem) => ofRevision(revision, problem)),
    request.name,
    options,
  );
  const models = await Promise.all(revision.models.map(({ id }) => getModel(engine, id)));
  const built = await buildVersion(
    engine,
    {
      endpoint: request.name,
      version: version.name,
      source: { kind: 'revision', revision },
      models,
      settings: revision.settings,
      secretsMayBeStored: true,
      ...fit.found,
      build: {},
    },
    options,
  );
  const rolledBack = {
    ...withoutBuild(version),
    ...versionSettings(revision.settings),
    ...builtParts(engine, built, models, version),
  };
  const versions = current.spec.versions.map((other) => (other.name === version.name ? rolledBack : other));
  return applyAndWait(
    engine,
    { ...current, spec: { ...current.spec, versions } },
    { versionName: version.name, secrets: secretVariables(version.name, built), wait: request.wait, built },
    options,
  );
}

/** What is installed again is what was recorded, also for a model without code. */
function partsOf({ environment, container }: Revision): ArchitectureFacts {
  return {
    configuration: { valid: true },
    deployment: {},
    resolved: { registered: [], paths: [] },
    kept: { environment, ...(container === undefined ? {} : { container }) },
  };
}

/** No file can be changed for it. */
function ofRevision({ endpoint, number }: Revision, { severity, code, message }: Problem): Problem {
  const remedy = `Roll back to another revision with --to, see "aksml service history -n ${endpoint}"; or deploy with an environment for the nodes.`;
  return {
    severity,
    code,
    message: `Revision ${number}: ${message}`,
    ...(severity === 'error' ? { remedy } : {}),
  };
}

/** The one that is named, else the newest before the present one. */
async function revisionToRestore(
  engine: Engine,
  { name, to }: { readonly name: string; readonly to?: number },
  version: VersionSpec,
): Promise<Revision> {
  if (to !== undefined && to >= 1) return (await getRevision(engine, name, version.name, to)).revision;
  const earlier = to === undefined ? await listRevisions(engine, name, version.name) : [];
  const [previous] = earlier
    .map(({ revision }) => revision)
    .filter(({ number }) => number < version.revisionNumber)
    .sort((a, b) => b.number - a.number);
  if (previous) return previous;
  throw new AksmlError('revision.notFound', `${name} has no revision before the present one.`, {
    fault: 'input',
    subject: name,
    remedy: `See "aksml service history -n ${name}".`,
  });
}
