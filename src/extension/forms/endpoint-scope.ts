import * as v from 'valibot';
import type { Endpoint } from '../../contract/endpoint.ts';
import type { EndpointScope } from '../../contract/engine-api.ts';
import type { MetricsSample } from '../../contract/metrics.ts';
import type { AksmlWindow } from '../aksml-window.ts';
import type { OpenForm } from './form-panel.ts';

/** What the forms of an endpoint are opened for, and keep. */
export const ENDPOINT_OF_FORM = v.object({
  folder: v.string(),
  workspace: v.optional(v.string()),
  target: v.string(),
  name: v.string(),
}) satisfies v.GenericSchema<unknown, EndpointScope>;

interface EndpointListener {
  notify(name: 'endpoint', payload: { readonly endpoint: Endpoint }): void;
  notify(name: 'gone', payload: Record<string, never>): void;
}

/** Tells the form of every change of its endpoint. */
export function followEndpoint(
  { engine }: Pick<AksmlWindow, 'engine'>,
  scope: EndpointScope,
  { notify, subscriptions }: { readonly notify: EndpointListener['notify'] } & Pick<OpenForm<never>, 'subscriptions'>,
): void {
  subscriptions.push(
    engine.subscribe('endpoint.watch', scope, {
      onEvent: (changes) => {
        for (const change of changes) {
          if (change.type === 'present' || change.type === 'changed') notify('endpoint', { endpoint: change.endpoint });
          if (change.type === 'deleted') notify('gone', {});
        }
      },
    }),
  );
}

const INTERVAL_MS = 1000;

/** Hands over a sample a second while the form is open. */
export function followMetrics(
  { engine }: Pick<AksmlWindow, 'engine'>,
  scope: EndpointScope,
  { subscriptions }: Pick<OpenForm<never>, 'subscriptions'>,
  onSample: (sample: MetricsSample) => void,
): void {
  subscriptions.push(
    engine.subscribe('endpoint.metrics', { ...scope, intervalMs: INTERVAL_MS }, { onEvent: onSample }),
  );
}
