import type { EndpointState } from './endpoint.ts';
import type { SerializedError } from './error.ts';
import type { Problem } from './problem.ts';

/** The stages of a deployment, in order. Registration and packaging use `snapshot`, `models` and `image` of them. */
export type Stage = 'validate' | 'models' | 'snapshot' | 'environment' | 'image' | 'apply' | 'watch' | 'smoke';

/** What a long operation tells while it runs; the command line draws it, the extension shows it. */
export type ProgressEvent =
  | { readonly type: 'start'; readonly stage: Stage; readonly label: string }
  | {
      readonly type: 'progress';
      readonly stage: Stage;
      readonly done: number;
      readonly total?: number;
      readonly unit: 'bytes' | 'files' | 'packages' | 'replicas' | 'requests' | 'objects' | 'endpoints';
      readonly detail?: string;
    }
  /** `reused` when the stage found its result already made. */
  | { readonly type: 'done'; readonly stage: Stage; readonly reused: boolean; readonly detail: string }
  | { readonly type: 'failed'; readonly stage: Stage; readonly error: SerializedError }
  /** A line of output of a tool or of a replica. */
  | { readonly type: 'log'; readonly stage: Stage; readonly source: string; readonly line: string }
  | { readonly type: 'problem'; readonly problem: Problem }
  | { readonly type: 'state'; readonly endpoint: string; readonly state: EndpointState; readonly detail?: string };

export type OnProgress = (event: ProgressEvent) => void;
