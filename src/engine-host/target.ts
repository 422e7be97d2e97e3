import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { ComputeTargetListing } from '../contract/compute-record.ts';
import type { FrontEndWish } from '../contract/engine-api/resource-api.ts';
import type { AttachPlanView, ParamsOf, TargetView, WorkspaceScope } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { ProgressEvent } from '../contract/event.ts';
import { writeFileAtomic } from '../home/atomic-file.ts';
import type { AttachRequest } from '../session/attach.ts';
import { readCertificate } from '../session/certificate-files.ts';
import { contextsOf } from '../session/clusters.ts';
import type { Session } from '../session/session.ts';
import type { TlsChange } from '../session/update-target.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';

/** A cluster's nodes and front end cannot be watched in one request; this machine is asked what costs nothing. */
const LOOK_MS = { local: 1000, kubernetes: 5000, aks: 5000 } as const;
const LIST_MS = 2000;

export const TARGET: HandlersOf<'target'> = {
  'target.list': async (scope, { host, signal }) => {
    const session = await host.session(scope);
    return Promise.all((await session.listTargets(signal)).map((listing) => look(host, session, listing, signal)));
  },
  'target.watch': async (scope, { host, signal, emit }) => {
    await new TargetWatch(host, await host.session(scope), emit).run(signal);
    return null;
  },
  'target.contexts': async ({ folder, kubeconfig }, { host }) => {
    const { current, names } = await contextsOf(host.options.environment, folder, kubeconfig);
    return { names: [...names], ...(current === undefined ? {} : { current }) };
  },
  'target.planAttach': async (params, { host, signal, emit }) => {
    const session = await host.session(params);
    let plan: AttachPlanView | undefined;
    const show = async (made: AttachPlanView) => {
      plan = made;
      throw AksmlError.cancelled('Attaching');
    };
    const options = { signal, onProgress: (event: ProgressEvent) => void emit(event), confirm: show };
    await session.attach(attachRequest(params), options).catch((error: unknown) => {
      if (plan === undefined) throw error;
    });
    if (plan === undefined) throw AksmlError.cancelled('Attaching');
    return plan;
  },
  'target.attach': async (params, { host, signal, emit }) => {
    const session = await host.session(params);
    const confirm = async (plan: AttachPlanView) => {
      if (params.confirmed || plan.action === 'connect' || (await host.ask({ kind: 'attach', plan }))) return;
      throw AksmlError.cancelled('Attaching');
    };
    const { name } = await session.attach(attachRequest(params), {
      signal,
      onProgress: (event) => void emit(event),
      confirm,
    });
    host.forgetSessions();
    return attachedView(host, params, name, signal);
  },
  'target.update': async ({ target, tls, allowInsecureConnections, ...params }, { host, signal, emit }) => {
    const session = await host.session(params);
    await session.update(
      {
        name: target,
        ...frontEndWish(params),
        ...(tls === undefined ? {} : { tls: await tlsChange(tls) }),
        ...(allowInsecureConnections === undefined ? {} : { allowInsecureConnections }),
      },
      { signal, onProgress: (event) => void emit(event) },
    );
    host.forgetSessions();
    return attachedView(host, params, target, signal);
  },
  'target.saveCredentials': async ({ target, file, ...scope }, { host, signal }) => {
    const { credentialsOf } = await import('../session/credentials.ts');
    const { userKubeConfig } = await credentialsOf(await host.session(scope), target, signal);
    await writeFileAtomic(file, stringify(userKubeConfig));
    return null;
  },
  'target.detach': async ({ target, deleteEndpoints, force, confirmed, ...scope }, { host, signal, emit }) => {
    const session = await host.session(scope);
    const { left } = await session.detach(
      { name: target, deleteEndpoints: deleteEndpoints === true, force: force === true },
      {
        signal,
        onProgress: (event) => void emit(event),
        confirm: async (plan) => {
          if (!confirmed && !(await host.ask({ kind: 'detach', plan }))) throw AksmlError.cancelled('Detaching');
        },
      },
    );
    host.forgetSessions();
    return { left: [...left] };
  },
};

function attachRequest(params: ParamsOf<'target.planAttach'>): AttachRequest {
  const { folder, name, kubeconfig, context, namespaces, purpose, registry, controllerImage } = params;
  return {
    name,
    cwd: folder,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(namespaces === undefined ? {} : { namespaces }),
    ...(purpose === undefined ? {} : { purpose }),
    ...(registry === undefined ? {} : { registry }),
    ...(controllerImage === undefined ? {} : { controllerImage }),
    ...frontEndWish(params),
  };
}

function frontEndWish({ serviceType, loadBalancerType, loadBalancerSubnet, routers }: FrontEndWish) {
  return {
    ...(serviceType === undefined ? {} : { serviceType }),
    ...(loadBalancerType === undefined ? {} : { loadBalancerType }),
    ...(loadBalancerSubnet === undefined ? {} : { loadBalancerSubnet }),
    ...(routers === undefined ? {} : { routers }),
  };
}

async function attachedView(
  host: EngineHost,
  scope: WorkspaceScope,
  name: string,
  signal: AbortSignal,
): Promise<TargetView> {
  const session = await host.session(scope);
  const listing = (await session.listTargets(signal)).find((target) => target.name === name);
  if (listing !== undefined) return look(host, session, listing, signal);
  throw new AksmlError('computeTarget.notFound', `The compute target ${name} has been detached meanwhile.`, {
    subject: `computeTarget/${name}`,
  });
}

async function tlsChange(change: NonNullable<ParamsOf<'target.update'>['tls']>): Promise<TlsChange> {
  if (change.kind === 'auto') {
    const { hosts, email } = change;
    return { kind: 'auto', hosts, overwriteDomain: false, ...(email === undefined ? {} : { email }) };
  }
  if (change.kind !== 'files') return change;
  const { certificateFile, keyFile, hosts } = change;
  return { kind: 'files', certificate: await readCertificate(certificateFile, keyFile), hosts };
}

async function look(
  { local }: EngineHost,
  session: Session,
  listing: ComputeTargetListing,
  signal: AbortSignal,
): Promise<TargetView> {
  const status = await session.targetStatus(listing.name, signal);
  return { listing, status, ...(listing.kind === 'local' ? { stopped: (await local.localStatus()).stopped } : {}) };
}

/** Asks every target at its own pace, so that one that does not answer holds no other up. */
class TargetWatch {
  readonly #host: EngineHost;
  readonly #session: Session;
  readonly #emit: (targets: readonly TargetView[]) => Promise<void>;
  readonly #views = new Map<string, TargetView>();
  readonly #watched = new Map<string, AbortController>();
  #told = '';

  constructor(host: EngineHost, session: Session, emit: (targets: readonly TargetView[]) => Promise<void>) {
    this.#host = host;
    this.#session = session;
    this.#emit = emit;
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#list(signal);
        await sleep(LIST_MS, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      for (const watch of this.#watched.values()) watch.abort();
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const listings = await this.#session.listTargets(signal);
    for (const name of [...this.#watched.keys()].filter((name) => !listings.some((listing) => listing.name === name))) {
      this.#watched.get(name)?.abort();
      this.#watched.delete(name);
      this.#views.delete(name);
    }
    for (const listing of listings) {
      this.#views.set(listing.name, { ...this.#views.get(listing.name), listing });
      if (this.#watched.has(listing.name)) continue;
      const watch = new AbortController();
      this.#watched.set(listing.name, watch);
      void this.#follow(listing, AbortSignal.any([watch.signal, signal]));
    }
    await this.#tell();
  }

  async #follow(listing: ComputeTargetListing, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const view = await look(this.#host, this.#session, listing, signal).catch(
        (error: unknown): TargetView => ({
          listing,
          status: { reachable: false, error: asAksmlError(listing.name, error).toJSON() },
        }),
      );
      if (signal.aborted) return;
      this.#views.set(listing.name, view);
      await this.#tell();
      await sleep(LOOK_MS[listing.kind], undefined, { signal }).catch(() => undefined);
    }
  }

  async #tell(): Promise<void> {
    const views = [...this.#views.values()];
    const now = JSON.stringify(views);
    if (now === this.#told) return;
    this.#told = now;
    await this.#emit(views);
  }
}

function asAksmlError(name: string, error: unknown): AksmlError {
  if (AksmlError.is(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new AksmlError('computeTarget.unreachable', `The compute target ${name} cannot be asked: ${message}`, {
    subject: `computeTarget/${name}`,
  });
}
