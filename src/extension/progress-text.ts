import type { ProgressEvent, Stage } from '../contract/event.ts';
import type { Translate } from './translate.ts';
import { formatBytes } from './tree/present.ts';

/** Of a notification's bar: what each stage is worth, in percent. */
const WORTH: Readonly<Record<Stage, number>> = {
  validate: 5,
  models: 15,
  snapshot: 5,
  environment: 30,
  image: 10,
  apply: 5,
  watch: 25,
  smoke: 5,
};

export interface ProgressReport {
  readonly message: string;
  /** Percent that has come to what was reported before. */
  readonly increment: number;
}

/** What a notification says while an operation runs: the stage, and how far it is. */
export class ProgressReporter {
  readonly #t: Translate;
  #label = '';

  constructor(t: Translate) {
    this.#t = t;
  }

  /** Undefined for what is not worth a word. */
  report(event: ProgressEvent): ProgressReport | undefined {
    switch (event.type) {
      case 'start':
        this.#label = event.label;
        return { message: event.label, increment: 0 };
      case 'progress':
        return { message: `${this.#label} ${this.#amount(event)}`.trim(), increment: 0 };
      case 'done':
        return { message: this.#label, increment: WORTH[event.stage] };
      case 'state':
        return { message: [event.state, event.detail].filter(Boolean).join(': '), increment: 0 };
      case 'log':
      case 'problem':
      case 'failed':
        return undefined;
      default:
        return event satisfies never;
    }
  }

  #amount({ done, total, unit, detail }: Extract<ProgressEvent, { type: 'progress' }>): string {
    const amount = (value: number) => (unit === 'bytes' ? formatBytes(value) : `${value}`);
    const of = total === undefined ? amount(done) : this.#t('{0} of {1}', amount(done), amount(total));
    return [unit === 'bytes' ? of : `${of} ${unit}`, detail].filter(Boolean).join(', ');
  }
}
