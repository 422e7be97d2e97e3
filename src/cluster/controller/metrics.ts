import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface ControllerState {
  readonly leading: boolean;
  readonly depth: number;
  /** By state. */
  readonly endpoints: ReadonlyMap<string, number>;
}

/** What Prometheus can ask for. */
export class ControllerMetrics {
  readonly #registry = new Registry();
  readonly #reconciles: Counter<'result'>;
  readonly #duration: Histogram;
  readonly #wait: Histogram;
  readonly #writes: Counter<'verb' | 'resource'>;
  readonly #interruptions: Counter<'resource'>;
  #state: () => ControllerState = () => ({ leading: false, depth: 0, endpoints: new Map() });

  constructor() {
    const registers = [this.#registry];
    const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
    collectDefaultMetrics({ register: this.#registry });
    this.#reconciles = new Counter({
      name: 'aksml_reconciles_total',
      help: 'Endpoints looked at.',
      labelNames: ['result'],
      registers,
    });
    this.#duration = new Histogram({
      name: 'aksml_reconcile_seconds',
      help: 'Time to bring one endpoint up to date.',
      buckets,
      registers,
    });
    this.#wait = new Histogram({
      name: 'aksml_queue_wait_seconds',
      help: 'Time from due to begun.',
      buckets,
      registers,
    });
    this.#writes = new Counter({
      name: 'aksml_api_writes_total',
      help: 'Objects written to the API server.',
      labelNames: ['verb', 'resource'],
      registers,
    });
    this.#interruptions = new Counter({
      name: 'aksml_watch_interruptions_total',
      help: 'Watches that broke off and were taken up again.',
      labelNames: ['resource'],
      registers,
    });
    const state = () => this.#state();
    new Gauge({
      name: 'aksml_leader',
      help: '1 while this instance leads.',
      registers,
      collect() {
        this.set(state().leading ? 1 : 0);
      },
    });
    new Gauge({
      name: 'aksml_queue_depth',
      help: 'Endpoints that wait to be looked at.',
      registers,
      collect() {
        this.set(state().depth);
      },
    });
    new Gauge({
      name: 'aksml_endpoints',
      help: 'Endpoints by state.',
      labelNames: ['state'],
      registers,
      collect() {
        this.reset();
        for (const [name, count] of state().endpoints) this.set({ state: name }, count);
      },
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  observe(state: () => ControllerState): void {
    this.#state = state;
  }

  reconciled(result: 'success' | 'repeated' | 'failed', ms: number | undefined): void {
    this.#reconciles.inc({ result });
    if (ms !== undefined) this.#duration.observe(ms / 1000);
  }

  waited(ms: number): void {
    this.#wait.observe(ms / 1000);
  }

  wrote(verb: string, resource: string): void {
    this.#writes.inc({ verb, resource });
  }

  watchInterrupted(resource: string): void {
    this.#interruptions.inc({ resource });
  }
}
