import { homedir, userInfo } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { ComputeTargetListing, ComputeTargetRecord, ComputeTargetStatus } from '../contract/compute-record.ts';
import type { ComputeTarget } from '../contract/compute-target.ts';
import type { Endpoint } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';
import type { Problem } from '../contract/problem.ts';
import { findComputeRecord, listComputeRecords } from '../engine/compute/compute.ts';
import { readConnection } from '../engine/compute/connection.ts';
import { keepKnownRecord, readKnownRecord } from '../engine/compute/known-record.ts';
import { listEverywhere, locateEndpoint, type TargetSource, untilAborted } from '../engine/endpoints/locate.ts';
import type { RunOptions } from '../engine/endpoints/stages.ts';
import type { Engine } from '../engine/engine.ts';
import { dockerCredentials } from '../engine/registry/credentials.ts';
import { DistributionRegistry } from '../engine/registry/distribution.ts';
import { openWorkspace, type Workspace, type WorkspaceRequest } from '../engine/workspace/workspace.ts';
import type { Home } from '../home/home.ts';
import { lightFetch } from '../http/fetch.ts';
import type { ExecConsent } from '../kube/exec-plugin.ts';
import { type LocalTarget, openLocalTarget } from '../local/client.ts';
import type { AttachHost, AttachOptions, AttachRequest } from './attach.ts';
import type { ClusterAccess } from './clusters.ts';
import type { DetachOptions, DetachRequest, DetachResult } from './detach.ts';
import type { UpdateRequest } from './update-target.ts';

export interface SessionOptions {
  readonly home: Home;
  /** Of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of aksml. */
  readonly version: string;
  /** Executable and arguments that start the supervisor of the embedded target. */
  readonly supervisorCommand: readonly string[];
  readonly workspace: Omit<WorkspaceRequest, 'openRegistry'>;
  /** Whether a program that a kubeconfig names for logging in may run. Asked once for each, then remembered. Default: none may. */
  readonly consent?: ExecConsent;
}

/** A workspace with its compute targets, as one process works with them: where the engine meets the places that endpoints run in. */
export interface Session {
  readonly workspace: Workspace;
  /** This machine first. Asks the workspace, but no cluster. */
  listTargets(signal?: AbortSignal): Promise<readonly ComputeTargetListing[]>;
  /** How a target is now; one that cannot be reached is described, too. @throws AksmlError `computeTarget.notFound` */
  targetStatus(name: string, signal?: AbortSignal): Promise<ComputeTargetStatus>;
  /** The engine on a compute target; on this machine where none is named. @throws AksmlError `computeTarget.notFound` | `computeTarget.notConnected` */
  engine(target?: string): Promise<Engine>;
  /**
   * The engine on the compute target that an endpoint is on, with what is to be told about targets that could not be asked.
   * @throws AksmlError `service.notFound` | `service.ambiguous` | `computeTarget.unreachable`
   */
  engineOf(endpoint: string, signal?: AbortSignal): Promise<{ engine: Engine; problems: readonly Problem[] }>;
  /** The endpoints of one target, or of all with which of them could not be asked. */
  listEndpoints(
    target: string | undefined,
    signal?: AbortSignal,
  ): Promise<{
    readonly found: readonly { readonly engine: Engine; readonly endpoints: readonly Endpoint[] }[];
    readonly problems: readonly Problem[];
  }>;
  /** Makes a cluster a compute target. @throws see {@link attachCluster} */
  attach(request: AttachRequest, options: AttachOptions): Promise<ComputeTargetRecord>;
  /** Changes how an attached cluster's front end is reached. @throws see {@link updateCluster} */
  update(request: UpdateRequest, options: RunOptions): Promise<ComputeTargetRecord>;
  /** @throws see {@link detachCluster} */
  detach(request: DetachRequest, options: DetachOptions): Promise<DetachResult>;
}

/** Of a target that does not answer, the others are not kept waiting for longer. */
const STATUS_MS = 15_000;

export async function openSession(options: SessionOptions): Promise<Session> {
  const { home, environment, version } = options;
  const credentials = dockerCredentials({ environment, homeFolder: homedir() });
  const openRegistry = registryOpener(environment);
  const workspace = await openWorkspace(home, {
    ...options.workspace,
    openRegistry,
  });
  const access: ClusterAccess = {
    home,
    environment,
    consent: options.consent ?? (async () => false),
    projectFolder: options.workspace.projectFolder,
  };
  const user = userName(environment);
  const engineOn = (target: ComputeTarget): Engine => ({
    home,
    workspace,
    registry: workspace.registry,
    target,
    images: async () => {
      const address = target.record?.registry ?? workspace.address;
      if (address === undefined) throw noRegistry(target.name);
      const registry = address === workspace.address ? workspace.registry : openRegistry(address);
      const { globalRegistry } = workspace;
      return {
        registry,
        pullAddress: address,
        ...(globalRegistry === undefined ? {} : { global: openRegistry(globalRegistry) }),
      };
    },
    environment,
    clock: () => new Date(),
    user,
    fetch,
    registryFetch: lightFetch,
    version,
  });
  const local = localTarget(options);
  const listTargets = async (signal?: AbortSignal): Promise<ComputeTargetListing[]> => {
    const records = await listComputeRecords(workspace, signal);
    const clusters = records.map(async (record) => {
      const connection = await readConnection(home, record.clusterId);
      const { name, kind } = record;
      return { name, kind, record, ...(connection === undefined ? {} : { connection }) };
    });
    return [{ name: 'local', kind: 'local' }, ...(await Promise.all(clusters))];
  };
  const connect = async (name: string): Promise<ComputeTarget> => {
    if (name === local.name) return local;
    const asBefore = await readKnownRecord(home, workspace.registry.location, name);
    // Most records are what they were: the cluster is asked, or at least the program loaded, while the registry answers.
    const guessed = asBefore && openAs(asBefore);
    (guessed ?? import('./clusters.ts')).catch(() => undefined);
    const record = await findComputeRecord({ registry: workspace.registry, home }, name);
    if (record === undefined) throw notFound(name, await listTargets());
    if (guessed !== undefined && isDeepStrictEqual(record, asBefore)) return guessed;
    await keepKnownRecord(home, workspace.registry.location, record);
    return openAs(record);
  };
  const openAs = async (record: ComputeTargetRecord): Promise<ComputeTarget> => {
    const connection = await readConnection(home, record.clusterId);
    if (connection === undefined) throw notConnected(record.name);
    const { openCluster } = await import('./clusters.ts');
    return openCluster(access, record, connection, credentials);
  };
  const opened = new Map<string, Promise<ComputeTarget>>();
  const open = (name: string): Promise<ComputeTarget> => {
    const key = name.toLowerCase();
    const known = opened.get(key) ?? connect(name);
    opened.set(key, known);
    // What failed once is tried again when it is asked for again.
    known.catch(() => opened.delete(key));
    return known;
  };
  const sources = async (signal?: AbortSignal): Promise<TargetSource[]> => {
    try {
      return (await listTargets(signal)).map(({ name }) => ({ name, open: () => open(name) }));
    } catch (error) {
      signal?.throwIfAborted();
      // A registry that is away must not keep anybody from this machine.
      return [
        { name: local.name, open: async () => local },
        { name: 'of the workspace', open: () => Promise.reject(error) },
      ];
    }
  };
  const attaching: AttachHost = {
    access,
    workspace,
    credentials,
    user,
    version,
    clock: () => new Date(),
    pushController: async (address, wishes) => {
      const { pushController } = await import('./controller-image.ts');
      const registry = openRegistry(address);
      return pushController({ home, environment, version, fetch, clock: () => new Date() }, registry, wishes);
    },
  };
  return {
    workspace,
    listTargets,
    targetStatus: async (name, signal) => {
      const late = AbortSignal.timeout(STATUS_MS);
      const asking = signal ? AbortSignal.any([signal, late]) : late;
      try {
        return await untilAborted(asking, async () => (await open(name)).status(asking));
      } catch (error) {
        signal?.throwIfAborted();
        const known = late.aborted ? noAnswer(name) : error;
        if (!AksmlError.is(known) || known.code === 'computeTarget.notFound') throw known;
        return { reachable: false, error: known.toJSON() };
      }
    },
    engine: async (target = local.name) => engineOn(await open(target)),
    engineOf: async (endpoint, signal) => {
      const { target, problems } = await locateEndpoint(await sources(signal), endpoint, signal);
      return { engine: engineOn(target), problems };
    },
    listEndpoints: async (name, signal) => {
      if (name !== undefined) {
        const target = await open(name);
        return { found: [{ engine: engineOn(target), endpoints: await target.listEndpoints(signal) }], problems: [] };
      }
      const { found, problems } = await listEverywhere(await sources(signal), signal);
      return { found: found.map(({ target, endpoints }) => ({ engine: engineOn(target), endpoints })), problems };
    },
    attach: async (request, wishes) => {
      const { attachCluster } = await import('./attach.ts');
      opened.delete(request.name.toLowerCase());
      return attachCluster(attaching, request, wishes);
    },
    update: async (request, wishes) => {
      const { updateCluster } = await import('./update-target.ts');
      opened.delete(request.name.toLowerCase());
      return updateCluster(attaching, request, wishes);
    },
    detach: async (request, wishes) => {
      const { detachCluster } = await import('./detach.ts');
      opened.delete(request.name.toLowerCase());
      return detachCluster(attaching, request, wishes);
    },
  };
}

/** Opens registries with what `docker login` and `podman login` have stored. */
export function registryOpener(environment: SessionOptions['environment']): (address: string) => DistributionRegistry {
  const credentials = dockerCredentials({ environment, homeFolder: homedir() });
  return (address) => new DistributionRegistry(address, { fetch: lightFetch, credentials });
}

/** The compute target of this machine, which needs no workspace. */
export function localTarget({
  home,
  environment,
  supervisorCommand: command,
}: Pick<SessionOptions, 'home' | 'environment' | 'supervisorCommand'>): LocalTarget {
  return openLocalTarget({ home, environment, command, clock: () => new Date() });
}

function notFound(name: string, targets: readonly ComputeTargetListing[]): AksmlError {
  return new AksmlError('computeTarget.notFound', `There is no compute target ${JSON.stringify(name)}.`, {
    fault: 'input',
    subject: `computeTarget/${name}`,
    remedy: `There is ${targets.map((target) => target.name).join(', ')}. Attach a cluster with "aksml computetarget attach kubernetes".`,
  });
}

function noAnswer(name: string): AksmlError {
  return new AksmlError('kube.timeout', `The cluster of ${name} has not answered for ${STATUS_MS / 1000} s.`, {
    subject: `computeTarget/${name}`,
    remedy:
      'Check that the cluster runs and that its address can be reached from here (VPN, proxy, authorized IP ranges).',
  });
}

function notConnected(name: string): AksmlError {
  return new AksmlError(
    'computeTarget.notConnected',
    `This machine has no credentials for the compute target ${name}, which somebody attached from another one.`,
    {
      fault: 'input',
      subject: `computeTarget/${name}`,
      remedy: `Name your kubeconfig: aksml computetarget attach kubernetes -n ${name} --kubeconfig FILE --context NAME`,
    },
  );
}

function noRegistry(target: string): AksmlError {
  return new AksmlError(
    'images.noRegistry',
    `The nodes of ${target} pull deployment images from a registry, and neither the workspace nor the compute target names one.`,
    {
      fault: 'input',
      subject: `computeTarget/${target}`,
      remedy: `Attach the cluster with --registry HOST/PREFIX, or keep the workspace in a registry: aksml workspace create -w NAME --registry HOST/PREFIX`,
    },
  );
}

function userName(environment: SessionOptions['environment']): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return environment['USER'] ?? environment['USERNAME'] ?? 'unknown';
  }
}
