import type { VNode } from 'preact';
import { Button, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import type { FileFormProps } from './file-view.tsx';
import { calculate } from './model.ts';

/** How many replicas a load needs, by v1's formula and the file's own figures. */
export function CalculatorView({ file, load, onLoad, onEdit, disabled = false }: FileFormProps): VNode {
  const result = calculate(load, file.values);
  return (
    <details class="calculator" open={load.requestsPerSecond !== ''}>
      <summary>{l10n.t('How many replicas does my load need?')}</summary>
      <div class="row">
        <span class="stack">
          <span>{l10n.t('Requests per second')}</span>
          <TextField
            className="short"
            label={l10n.t('Requests per second')}
            inputMode="decimal"
            value={load.requestsPerSecond}
            onInput={(requestsPerSecond) => onLoad({ ...load, requestsPerSecond })}
          />
        </span>
        <span class="stack">
          <span>{l10n.t('Seconds per request')}</span>
          <TextField
            className="short"
            label={l10n.t('Seconds per request')}
            inputMode="decimal"
            value={load.secondsPerRequest}
            onInput={(secondsPerRequest) => onLoad({ ...load, secondsPerRequest })}
          />
        </span>
      </div>
      <p role="status">
        {result === undefined ? (
          <span class="muted">
            {l10n.t('Fill in both: the answer uses targetUtilization and maxConcurrentRequestsPerContainer.')}
          </span>
        ) : (
          <>
            <strong>{result.replicas === 1 ? l10n.t('1 replica') : l10n.t('{0} replicas', result.replicas)}</strong>{' '}
            <span class="muted">
              {l10n.t(
                '= {0} requests/s × {1} s ÷ {2} % ÷ {3} at a time',
                load.requestsPerSecond,
                load.secondsPerRequest,
                result.targetUtilization,
                result.maxConcurrentRequestsPerContainer,
              )}
            </span>
          </>
        )}
      </p>
      {result === undefined ? null : (
        <p class="actions">
          <Button
            disabled={disabled}
            onClick={() => {
              onEdit(['autoScaler', 'autoscaleEnabled'], true);
              onEdit(['autoScaler', 'maxReplicas'], result.replicas);
              onEdit(['numReplicas'], undefined);
            }}
          >
            {l10n.t('Use as the most replicas')}
          </Button>
          <Button
            disabled={disabled}
            onClick={() => {
              onEdit(['autoScaler'], undefined);
              onEdit(['numReplicas'], result.replicas);
            }}
          >
            {l10n.t('Use as a fixed number')}
          </Button>
        </p>
      )}
    </details>
  );
}
