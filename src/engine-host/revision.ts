import type { ParamsOf, RevisionView } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { Revision } from '../contract/revision.ts';
import { findEndpoint } from '../engine/endpoints/deploy.ts';
import { type HistoryEntry, rollback, serviceHistory } from '../engine/endpoints/history.ts';
import type { Engine } from '../engine/engine.ts';
import { checkoutRevision } from '../engine/revisions/checkout.ts';
import { readContents, readTree } from '../engine/revisions/code-tree.ts';
import { codeTreeOf, diffRevisions, diffWithWorkingTree, workingTreeOf } from '../engine/revisions/diff.ts';
import { getRevision, revisionChanges } from '../engine/revisions/revisions.ts';
import { changing } from './deployment.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';

export const REVISION: HandlersOf<'revision'> = {
  'revision.list': async ({ name, versionName, ...scope }, { host, signal }) => {
    const entries = await serviceHistory(await host.engine(scope), name, versionName, signal);
    return entries.map((entry) => viewOf(entry, predecessor(entries, entry)));
  },
  'revision.diff': async (params, { host, signal }) => {
    const engine = await host.engine(params);
    const at = (number: number) => getRevision(engine, params.name, params.versionName, number, signal);
    const [from, to] = [await at(params.from), await at(params.to)];
    const { code, models, environment, settings } = await diffRevisions(engine, from.revision, to.revision, signal);
    return { code, models, environment: environment.definition, lock: environment.lock, settings };
  },
  'revision.diffFolder': async (params, { host, signal }) => {
    const engine = await host.engine(params);
    const number = params.revision ?? (await currentNumber(engine, params, signal));
    const { revision } = await getRevision(engine, params.name, params.versionName, number, signal);
    const code = await diffWithWorkingTree(engine, revision, workingTreeOf(revision, params.with), { signal });
    return { revision: revision.number, code };
  },
  'revision.files': async (params, { host, signal }) => {
    const { engine, revision } = await open(host, params, signal);
    const files = await readTree(codeTreeOf(engine, revision, signal));
    return [...files].map(([path, file]) => ({ path, ...file }));
  },
  'revision.readFile': async (params, { host, signal }) => {
    const { engine, revision } = await open(host, params, signal);
    const contents = await readContents(codeTreeOf(engine, revision, signal), new Set([params.path]));
    const content = contents.get(params.path);
    if (content) return { content: Buffer.from(content).toString('base64') };
    throw new AksmlError(
      'revision.noFile',
      `Revision ${revision.number} of ${params.name} has no file ${params.path}.`,
      {
        fault: 'input',
        subject: params.path,
      },
    );
  },
  'revision.configuration': async (params, { host, signal }) => {
    const { revision } = await open(host, params, signal);
    return { text: configurationText(revision) };
  },
  'revision.checkout': async ({ directory, overwrite, ...params }, { host, signal }) => {
    const { engine, revision } = await open(host, params, signal);
    return {
      directory: await checkoutRevision(engine, revision, directory, { overwrite: overwrite === true, signal }),
    };
  },
  'revision.rollback': async ({ name, versionName, to, wait, ...scope }, call) => {
    const engine = await call.host.engine(scope);
    const request = {
      name,
      wait: wait !== false,
      ...(versionName === undefined ? {} : { versionName }),
      ...(to === undefined ? {} : { to }),
    };
    return changing(name, call, (run) => rollback(engine, request, run));
  },
};

async function open(host: EngineHost, params: Omit<ParamsOf<'revision.files'>, never>, signal: AbortSignal) {
  const engine = await host.engine(params);
  const { revision } = await getRevision(engine, params.name, params.versionName, params.revision, signal);
  return { engine, revision };
}

/** Of what the endpoint asks for; the newest one when it is deleted. */
async function currentNumber(
  engine: Engine,
  { name, versionName }: { readonly name: string; readonly versionName: string },
  signal: AbortSignal,
): Promise<number | 'latest'> {
  const endpoint = await findEndpoint(engine, name, signal);
  return endpoint?.spec.versions.find((version) => version.name === versionName)?.revisionNumber ?? 'latest';
}

function predecessor(entries: readonly HistoryEntry[], { revision }: HistoryEntry): Revision | undefined {
  return entries.find(
    ({ revision: other }) => other.version === revision.version && other.number === revision.number - 1,
  )?.revision;
}

function viewOf({ revision, digest, current }: HistoryEntry, before: Revision | undefined): RevisionView {
  const { code, git } = revision;
  const commit = git['azureml.git.commit'];
  return {
    endpoint: revision.endpoint,
    version: revision.version,
    number: revision.number,
    digest,
    current,
    createdTime: revision.createdTime,
    createdBy: revision.createdBy,
    changed: revisionChanges(revision, before),
    models: revision.models.map(({ id }) => id),
    hasCode: code !== undefined && revision.noCode === undefined,
    ...(code?.sourceDirectory === undefined ? {} : { sourceDirectory: code.sourceDirectory }),
    ...(code === undefined ? {} : { entryScript: code.entryScript }),
    ...(commit === undefined ? {} : { commit }),
  };
}

/** Stable from one revision to the next, so that two can be compared as text. */
function configurationText({ models, settings, environment, container }: Revision): string {
  return `${JSON.stringify(
    {
      models: models.map(({ id }) => id),
      settings,
      ...(container === undefined ? {} : { container }),
      environment: { pythonVersion: environment.pythonVersion, ...environment.definition },
      installed: environment.lock,
    },
    undefined,
    2,
  )}\n`;
}
