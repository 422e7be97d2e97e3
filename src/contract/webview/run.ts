import type { Endpoint } from '../endpoint.ts';
import type { SerializedError } from '../error.ts';
import type { ProgressEvent, Stage } from '../event.ts';

/** A long operation as a form shows it. */
export interface RunView {
  readonly status: 'running' | 'done' | 'failed' | 'cancelled';
  readonly stages: readonly StageView[];
  /** What the endpoint is at while it is waited for. */
  readonly state?: string;
  readonly lastLine?: string;
  readonly error?: SerializedError;
  readonly endpoint?: Endpoint;
}

export interface StageView {
  readonly stage: Stage;
  readonly label: string;
  readonly status: 'running' | 'done' | 'failed';
  readonly detail: string;
  readonly reused: boolean;
  /** 0 to 1, where it is known. */
  readonly share?: number;
}

export const RUN_START: RunView = { status: 'running', stages: [] };

export function reduceRun(run: RunView, event: ProgressEvent): RunView {
  switch (event.type) {
    case 'start': {
      const stage: StageView = { stage: event.stage, label: event.label, status: 'running', detail: '', reused: false };
      return { ...run, stages: [...run.stages, stage] };
    }
    case 'progress': {
      const { done, total, unit, detail = '' } = event;
      const share = total ? Math.min(1, done / total) : undefined;
      const count = unit === 'bytes' ? '' : `${done}${total === undefined ? '' : ` / ${total}`} ${unit}`;
      return withLast(run, event.stage, {
        detail: [detail, count].filter(Boolean).join(' '),
        ...(share === undefined ? {} : { share }),
      });
    }
    case 'done':
      return withLast(run, event.stage, { status: 'done', detail: event.detail, reused: event.reused });
    case 'failed':
      return withLast(run, event.stage, { status: 'failed', detail: event.error.message });
    case 'log':
      return { ...run, lastLine: event.line };
    case 'state':
      return { ...run, state: [event.state, event.detail].filter(Boolean).join(', ') };
    case 'problem':
      return run;
  }
}

function withLast(run: RunView, stage: Stage, changes: Partial<StageView>): RunView {
  const index = run.stages.findLastIndex((known) => known.stage === stage);
  return { ...run, stages: run.stages.map((known, other) => (other === index ? { ...known, ...changes } : known)) };
}
