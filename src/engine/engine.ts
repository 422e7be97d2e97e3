import type { ComputeTarget } from '../contract/compute-target.ts';
import type { Home } from '../home/home.ts';
import type { Fetch } from '../http/fetch.ts';
import type { Registry } from './registry/registry.ts';

/** Everything the engine needs from its host, so that it has no globals of its own. */
export interface Engine {
  readonly home: Home;
  readonly workspace: { readonly name: string; readonly resourceGroup?: string; readonly subscriptionId?: string };
  /** Content of the workspace: models, environments, revisions. */
  readonly registry: Registry;
  readonly target: ComputeTarget;
  /** Where deployment images for the target go; not asked for `local`. @throws AksmlError `images.noRegistry` */
  readonly images?: () => Promise<ImageStore>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: () => Date;
  /** Recorded as `createdBy`. */
  readonly user: string;
  readonly fetch: typeof fetch;
  /** For registries; default: `fetch`. */
  readonly registryFetch?: Fetch;
  /** Of aksml itself. */
  readonly version: string;
}

/** The registry that a cluster pulls from. */
export interface ImageStore {
  readonly registry: Registry;
  /** `HOST[:PORT][/PREFIX]`: what the cluster's nodes call it. */
  readonly pullAddress: string;
  /** Environments that are built already are looked for here, too. */
  readonly global?: Registry;
}
