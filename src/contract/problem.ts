/** How much a {@link Problem} weighs: an `error` refuses the input, a `warning` says what v1 did silently wrong, a `notice` names a difference from v1. */
export type Severity = 'error' | 'warning' | 'notice';

/** One finding about the user's input. All findings of a run are collected before anything is refused. */
export interface Problem {
  readonly severity: Severity;
  /** Stable, dotted, for programs: `entryScript.missing`, `autoscale.minAboveMax`. */
  readonly code: string;
  /** The file as the user named it, or absent if the value came from a flag. */
  readonly file?: string;
  /** Key path inside the file, such as `autoScaler.minReplicas`; or the flag, such as `--autoscale-min-replicas`. */
  readonly path?: string;
  /** 1-based. */
  readonly line?: number;
  /** What is wrong and why, one sentence. */
  readonly message: string;
  /** What to do about it, one sentence. */
  readonly remedy?: string;
  /** The key path that was probably meant instead of `path`. */
  readonly suggestion?: string;
}
