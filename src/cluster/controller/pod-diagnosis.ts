import type { KubeClient } from '../../kube/kube.ts';
import { readPodLog } from '../../kube/pod-log.ts';
import { EVENTS, type Pod } from '../../kube/resource.ts';
import { SCORING_CONTAINER } from '../names.ts';
import { failedRun, scoringStatus } from './pod-cause.ts';
import { type ScaleUp, scaleUp } from './scheduling.ts';

/** A node writes the end of a log after it has told the end of its container. */
const LOG_SETTLES_MS = 1_000;
/** A traceback whole, with what was printed before it. */
const LOG_LINES = 200;
const LOG_MS = 5_000;
const EVENTS_FRESH_MS = 5_000;

type KnownLog = { readonly run: string; readonly seen: number } & (
  | { readonly read: true; readonly lines: readonly string[] }
  /** The lines are those of the run before. */
  | { readonly read: false; readonly lines: readonly string[] | undefined }
);

/** The last lines of a run: until they can be read, in `settlesIn` milliseconds, those of the pod's run before it, if any. */
export interface RunLog {
  readonly lines?: readonly string[];
  readonly settlesIn?: number;
}

/** What must be asked for, because no watch tells it: the log of a run that failed, the events of a pod that no node takes. */
export class PodDiagnosis {
  readonly #kube: KubeClient;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  /** By the pod's uid; those of one run of its container. */
  readonly #logs = new Map<string, KnownLog>();
  readonly #events = new Map<string, { readonly at: number; readonly answer: ScaleUp }>();

  constructor(kube: KubeClient, now: () => number, onError: (error: unknown) => void) {
    this.#kube = kube;
    this.#now = now;
    this.#onError = onError;
  }

  /** The last lines of the run by which the pod failed; asked for once a run, when the log is complete. */
  async readLog(pod: Pod, signal: AbortSignal): Promise<RunLog | undefined> {
    const { uid = '', name, namespace = '' } = pod.metadata;
    const ended = failedRun(pod);
    if (ended === undefined) return undefined;
    const run = ended.containerID ?? ended.finishedAt ?? '';
    const last = this.#logs.get(uid);
    if (last?.run === run && last.read) return { lines: last.lines };
    const known: KnownLog = last?.run === run ? last : { run, seen: this.#now(), read: false, lines: last?.lines };
    this.#logs.set(uid, known);
    const before = known.lines === undefined ? {} : { lines: known.lines };
    const settlesIn = known.seen + LOG_SETTLES_MS - this.#now();
    if (settlesIn > 0) return { ...before, settlesIn };
    const previous = scoringStatus(pod)?.state?.terminated === undefined;
    const query = { pod: { name, namespace }, container: SCORING_CONTAINER, previous, tailLines: LOG_LINES };
    try {
      const lines: string[] = [];
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LOG_MS)]);
      for await (const batch of readPodLog(this.#kube, query, limit)) lines.push(...batch.map(({ line }) => line));
      const found = lines.length > 0 ? lines : (known.lines ?? []);
      this.#logs.set(uid, { ...known, read: true, lines: found });
      return { lines: found };
    } catch (error) {
      // The end of it is in the pod's status too.
      if (!signal.aborted) this.#onError(error);
      return before;
    }
  }

  /** What an autoscaler of nodes does about a pod that no node takes. */
  async readScaleUp(pod: Pod, signal: AbortSignal): Promise<ScaleUp> {
    const { uid = '', namespace = '' } = pod.metadata;
    const known = this.#events.get(uid);
    if (known !== undefined && this.#now() - known.at < EVENTS_FRESH_MS) return known.answer;
    try {
      const { items } = await this.#kube.list(
        EVENTS,
        { namespace, fieldSelector: `involvedObject.uid=${uid}` },
        signal,
      );
      const answer = scaleUp(items, this.#now());
      this.#events.set(uid, { at: this.#now(), answer });
      return answer;
    } catch (error) {
      if (!signal.aborted) this.#onError(error);
      return known?.answer;
    }
  }

  /** Of a pod that is gone. */
  forget(uid: string): void {
    this.#logs.delete(uid);
    this.#events.delete(uid);
  }
}
