import type { VNode } from 'preact';
import { Chart } from '../components/chart.tsx';
import { l10n } from '../host/l10n.ts';
import type { EndpointPageState } from './model.ts';
import { type ChartId, type Line, seriesOf } from './series.ts';

export function Charts({ state }: { readonly state: EndpointPageState }): VNode {
  return (
    <div class="charts">
      {seriesOf(state.samples, state.version).map(({ id, unit, times, lines }) => (
        <Chart
          key={id}
          title={titleOf(id, state)}
          unit={unit}
          times={times}
          lines={lines.map((line, index) => ({ ...line, color: colorOf(id, line, index) }))}
        />
      ))}
    </div>
  );
}

function titleOf(id: ChartId, { endpoint, version }: EndpointPageState): string {
  const isOfSlowest = version === undefined && (endpoint?.spec.versions.length ?? 0) > 1;
  switch (id) {
    case 'requests':
      return l10n.t('Requests by status');
    case 'latency':
      return isOfSlowest ? l10n.t('Latency of the slowest version') : l10n.t('Latency');
    case 'utilization':
      return l10n.t('Utilization');
    case 'queue':
      return l10n.t('Waiting in the queue');
    case 'replicas':
      return l10n.t('Ready replicas');
    case 'traffic':
      return l10n.t('Traffic, measured');
  }
}

const IN_ORDER = ['blue', 'yellow', 'green', 'purple', 'orange', 'red'];

/** A status has the colour of its meaning; versions and percentiles have theirs in order. */
function colorOf(id: ChartId, { name }: Line, index: number): string {
  if (id !== 'requests') return `--vscode-charts-${IN_ORDER[index % IN_ORDER.length]}`;
  const status = Number(name);
  if (status >= 500 || status === 0) return '--vscode-charts-red';
  if (status >= 400) return '--vscode-charts-yellow';
  return status >= 300 ? '--vscode-charts-blue' : '--vscode-charts-green';
}
