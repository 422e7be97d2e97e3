import type { ComputeTargetListing, ComputeTargetStatus } from '../compute-record.ts';
import type { Problem } from '../problem.ts';
import type { RevisionChange } from '../revision.ts';

/** A workspace as it was opened for a folder. */
export interface WorkspaceView {
  readonly name: string;
  readonly resourceGroup?: string;
  readonly subscriptionId?: string;
  /** Where models and environments are: a folder, or `HOST[:PORT]/PREFIX`. */
  readonly content: string;
  readonly isRemote: boolean;
  /** What chose it: nothing, a name that was given, or a file. */
  readonly origin: { readonly kind: 'options' | 'default' } | { readonly kind: 'file'; readonly file: string };
  readonly notices: readonly Problem[];
}

/** A workspace that is known on this machine. */
export interface WorkspaceRecordView {
  readonly name: string;
  readonly registry?: string;
  readonly folder: string;
}

/** A compute target with what is known of its state. */
export interface TargetView {
  readonly listing: ComputeTargetListing;
  /** Absent while it is being asked for the first time. */
  readonly status?: ComputeTargetStatus;
  /** Only of `local`: it was stopped on request. */
  readonly stopped?: boolean;
}

/** What attaching a cluster will do. */
export interface AttachPlanView {
  readonly target: string;
  readonly server: string;
  readonly kubernetesVersion: string;
  /** `connect`: the cluster is attached already, and works. */
  readonly action: 'install' | 'connect';
  readonly objects: readonly string[];
  readonly image: string;
  /** How requests reach the cluster, such as `3 routers behind a load balancer`. */
  readonly frontEnd?: string;
  readonly registry: string;
  readonly namespaces: readonly string[];
  readonly problems: readonly Problem[];
}

/** What only a person can decide while a request is under way. */
export type Question =
  | { readonly kind: 'attach'; readonly plan: AttachPlanView }
  | {
      readonly kind: 'detach';
      readonly plan: {
        readonly target: string;
        readonly server: string;
        readonly endpoints: readonly string[];
        readonly deleteEndpoints: boolean;
        /** Why the cluster cannot be reached: then nothing is removed from it. */
        readonly unreachable?: string;
      };
    }
  /** A kubeconfig names a program that logs in. */
  | {
      readonly kind: 'exec';
      readonly command: string;
      readonly args: readonly string[];
      readonly variables: readonly string[];
    };

/** One deploy of an endpoint's version. */
export interface RevisionView {
  readonly endpoint: string;
  readonly version: string;
  readonly number: number;
  /** Names it for good. */
  readonly digest: string;
  /** It is what the endpoint asks for now. */
  readonly current: boolean;
  /** ISO 8601, UTC. */
  readonly createdTime: string;
  readonly createdBy: string;
  /** Against the revision before. */
  readonly changed: readonly RevisionChange[];
  readonly models: readonly string[];
  /** Code of its own can be looked at and checked out. */
  readonly hasCode: boolean;
  readonly sourceDirectory?: string;
  readonly entryScript?: string;
  readonly commit?: string;
}

/** A file of a revision's code, by its path below the source directory. */
export interface RevisionFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly executable: boolean;
  readonly sha256: string;
}

export interface FileDifference {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
  /** In unified form; absent for binary and very large files. */
  readonly patch?: string;
}

export interface ValueDifference {
  /** Such as `scale.minReplicas`. */
  readonly path: string;
  readonly before?: string | number | boolean | null;
  readonly after?: string | number | boolean | null;
}

export interface RevisionDifference {
  readonly code: readonly FileDifference[];
  readonly models: readonly ValueDifference[];
  readonly environment: readonly ValueDifference[];
  readonly lock: readonly ValueDifference[];
  readonly settings: readonly ValueDifference[];
}

/** What answered a scoring request, whatever the status. */
export interface RunView {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly milliseconds: number;
}

export interface LocalView {
  /** Present while a supervisor runs. */
  readonly supervisor?: {
    readonly pid: number;
    /** ISO 8601, UTC. */
    readonly startedTime: string;
    readonly memoryBytes: number;
    readonly gatewayPort?: number;
  };
  /** On request: endpoints stay known and start again with `local.start`. */
  readonly stopped: boolean;
  readonly endpoints: readonly string[];
  readonly damaged: readonly string[];
  readonly logFile: string;
  readonly home: string;
}

/** What models need, as v1's profile tells it; `null` is what could not be measured. */
export interface ProfileView {
  readonly state: 'Succeeded' | 'Failed';
  readonly recommendedCpu: number | null;
  readonly recommendedMemoryInGB: number | null;
  readonly latencyPercentile95InMs: number | null;
  readonly successQueries: number;
  readonly totalQueries: number;
  /** Why it failed, or why something is missing. */
  readonly error: { readonly message: string } | null;
}

export interface CollectedView {
  readonly dryRun: boolean;
  readonly bytes: number;
  readonly freed: readonly { readonly place: string; readonly count: number; readonly bytes: number }[];
}
