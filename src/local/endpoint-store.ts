import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ENDPOINT_API_VERSION, type Endpoint, type EndpointMetadata } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import { followsRule, SERVICE_NAME } from '../contract/names.ts';
import type { Problem } from '../contract/problem.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { Home } from '../home/home.ts';
import { validateTraffic } from '../serving/traffic.ts';

/** What `local/endpoints/NAME.json` holds. */
export interface EndpointRecord {
  /** Without `status`, which is derived. */
  readonly endpoint: Endpoint;
  /** The port of a service with `computeType: local` that left the choice to us. */
  readonly ownPort?: number;
  /** Per version: the last image all of whose replicas were ready. It serves until the wanted one does. */
  readonly served: Readonly<Record<string, string>>;
  /** The default version that has served last: it stays in charge until a new default has its replicas. */
  readonly lastDefault?: string;
  readonly deleting: boolean;
  /** Of the last write, so that a write whose answer was lost can be repeated. */
  readonly requestId: string;
}

const IMAGE = /^sha256:[0-9a-f]{64}$/;

/** The supervisor's endpoints: in memory, and in one file each. Only the holder of the supervisor's lock may write. */
export class EndpointStore {
  readonly #home: Home;
  readonly #records: Map<string, EndpointRecord>;

  private constructor(home: Home, records: readonly EndpointRecord[]) {
    this.#home = home;
    this.#records = new Map(records.map((record) => [record.endpoint.metadata.name, record]));
  }

  static async open(home: Home): Promise<EndpointStore> {
    return new EndpointStore(home, await readEndpointRecords(home));
  }

  list(): EndpointRecord[] {
    return [...this.#records.values()];
  }

  find(name: string): EndpointRecord | undefined {
    return this.#records.get(name);
  }

  /** @throws AksmlError `service.notFound` */
  get(name: string): EndpointRecord {
    const record = this.#records.get(name);
    if (!record) throw notFound(name);
    return record;
  }

  /**
   * What the record would be after this write.
   * @throws AksmlError `endpoint.conflict` | `endpoint.exists` | `endpoint.invalid`
   */
  prepare(wish: Endpoint, requestId: string, now: string): EndpointRecord {
    const { name, resourceVersion } = wish.metadata;
    const present = this.#records.get(name);
    if (present?.requestId === requestId) return present;
    refuseInvalid(wish);
    if (present && resourceVersion === undefined) throw exists(name);
    if (resourceVersion !== undefined && present?.endpoint.metadata.resourceVersion !== resourceVersion) {
      throw conflict(name, present !== undefined);
    }
    if (present?.deleting) throw conflict(name, false);
    const versions = new Set(wish.spec.versions.map((version) => version.name));
    return withLastDefault({
      ...present,
      endpoint: {
        apiVersion: ENDPOINT_API_VERSION,
        kind: 'Endpoint',
        metadata: nextMetadata(wish, present?.endpoint, now),
        spec: wish.spec,
      },
      served: Object.fromEntries(Object.entries(present?.served ?? {}).filter(([version]) => versions.has(version))),
      deleting: false,
      requestId,
    });
  }

  async put(record: EndpointRecord): Promise<void> {
    const { name } = record.endpoint.metadata;
    await writeFileAtomic(recordPath(this.#home, name), `${JSON.stringify(record, null, 2)}\n`);
    this.#records.set(name, record);
  }

  async remove(name: string): Promise<void> {
    await rm(recordPath(this.#home, name), { force: true });
    this.#records.delete(name);
  }
}

/** The record after a version has come to serve with an image. */
export function withServed(record: EndpointRecord, version: string, image: string): EndpointRecord {
  return withLastDefault({ ...record, served: { ...record.served, [version]: image } });
}

function withLastDefault(record: EndpointRecord): EndpointRecord {
  const present = record.endpoint.spec.versions.find(({ isDefault }) => isDefault)?.name;
  return present !== undefined && present in record.served ? { ...record, lastDefault: present } : record;
}

/** What is deployed, read without a supervisor. Damaged records, which {@link damagedEndpoints} names, do not hold up the others. */
export async function readEndpointRecords(home: Home): Promise<EndpointRecord[]> {
  const records = await Promise.all((await recordNames(home)).map((name) => readRecord(home, name)));
  return records.filter((record) => record !== undefined);
}

/** Names of the endpoints whose records cannot be read. Deploying one again replaces its record. */
export async function damagedEndpoints(home: Home): Promise<string[]> {
  const names = await recordNames(home);
  const records = await Promise.all(names.map((name) => readRecord(home, name)));
  return names.filter((_, index) => records[index] === undefined);
}

export function damaged(home: Home, name: string): AksmlError {
  const file = recordPath(home, name);
  return new AksmlError('service.damaged', `What is known of "${name}" cannot be read: ${file} is damaged.`, {
    subject: name,
    remedy: `Deploy "${name}" again, which keeps its keys and its history; or delete it.`,
  });
}

async function recordNames(home: Home): Promise<string[]> {
  return (await readdir(endpointsFolder(home)).catch(() => []))
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

async function readRecord(home: Home, name: string): Promise<EndpointRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(recordPath(home, name), 'utf8')) as EndpointRecord | null;
    const { metadata, spec } = record?.endpoint ?? {};
    return record && metadata?.name === name && Array.isArray(spec?.versions) ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function recordPath(home: Home, name: string): string {
  return join(endpointsFolder(home), `${name}.json`);
}

export function notFound(name: string): AksmlError {
  return new AksmlError('service.notFound', `There is no service or endpoint "${name}" on the compute target local.`, {
    fault: 'input',
    subject: name,
    remedy: 'See "aksml service list" for those there are.',
  });
}

function endpointsFolder(home: Home): string {
  return join(home.local, 'endpoints');
}

function nextMetadata(wish: Endpoint, present: Endpoint | undefined, now: string): EndpointMetadata {
  const { name, labels, annotations } = wish.metadata;
  const sameSpec = present !== undefined && JSON.stringify(present.spec) === JSON.stringify(wish.spec);
  return {
    name,
    uid: present?.metadata.uid ?? randomUUID(),
    resourceVersion: randomUUID(),
    generation: (present?.metadata.generation ?? 0) + (sameSpec ? 0 : 1),
    creationTimestamp: present?.metadata.creationTimestamp ?? now,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
}

function exists(name: string): AksmlError {
  return new AksmlError('endpoint.exists', `An endpoint named "${name}" exists already.`, {
    fault: 'input',
    subject: name,
    remedy: 'Choose another name, or update the one there is.',
  });
}

function conflict(name: string, changed: boolean): AksmlError {
  const what = changed ? 'was changed by another command meanwhile' : 'was deleted meanwhile';
  return new AksmlError('endpoint.conflict', `"${name}" ${what}.`, {
    subject: name,
    remedy: 'Run the command again: it starts from what is there now.',
  });
}

function refuseInvalid(endpoint: Endpoint): void {
  const problems = [
    ...problemsOfNames(endpoint),
    ...problemsOfVersions(endpoint),
    ...validateTraffic(endpoint.spec.versions),
  ];
  if (problems.length === 0) return;
  throw new AksmlError('endpoint.invalid', `The endpoint "${endpoint.metadata.name}" is not valid.`, {
    fault: 'input',
    subject: endpoint.metadata.name,
    problems,
  });
}

function problemsOfNames({ metadata, spec }: Endpoint): Problem[] {
  const named = [
    { path: 'metadata.name', name: metadata.name },
    ...spec.versions.map(({ name }, index) => ({ path: `spec.versions[${index}].name`, name })),
  ];
  return named
    .filter(({ name }) => !followsRule(SERVICE_NAME, name))
    .map(({ path, name }) =>
      error('name.invalid', path, `"${name}" is not a valid ${SERVICE_NAME.what}.`, `Use ${SERVICE_NAME.hint}.`),
    );
}

function problemsOfVersions({ spec }: Endpoint): Problem[] {
  return spec.versions.flatMap((version, index) => {
    const at = `spec.versions[${index}]`;
    const { scale } = version;
    const counts = scale.kind === 'fixed' ? [scale.replicas] : [scale.minReplicas, scale.maxReplicas];
    return [
      ...(IMAGE.test(version.image)
        ? []
        : [error('image.invalid', `${at}.image`, 'The image is not a sha256 digest.', 'Deploy with a current aksml.')]),
      ...(counts.every((count) => Number.isInteger(count) && count >= 0)
        ? []
        : [
            error(
              'scale.invalid',
              `${at}.scale`,
              'Replicas are not counted in whole numbers from 0.',
              'Correct the scale.',
            ),
          ]),
    ];
  });
}

function error(code: string, path: string, message: string, remedy: string): Problem {
  return { severity: 'error', code, path, message, remedy };
}
