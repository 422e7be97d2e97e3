import type { ComponentChildren, VNode } from 'preact';
import { AksmlError } from '../../src/contract/error.ts';
import type { RunView, StageView } from '../../src/contract/webview/run.ts';
import { l10n } from '../host/l10n.ts';
import { failureOf } from './failure.ts';
import { Icon, Spinner } from './icon.tsx';
import { Banner, FailureBanner } from './parts.tsx';
import { Button } from './toolkit.ts';

export interface RunProps {
  readonly run: RunView;
  readonly title: string;
  readonly onCancel: () => void;
  /** What can be done once it is done. */
  readonly children?: ComponentChildren;
  /** What can be done when it failed. */
  readonly onFailed?: ComponentChildren;
}

/** The stages of a long operation, with its end. */
export function Run({ run, title, onCancel, children, onFailed }: RunProps): VNode {
  return (
    <section class="run" aria-label={title}>
      <div class="row">
        <h2>{title}</h2>
        <span class="end">
          {run.status === 'running' ? <Button onClick={onCancel}>{l10n.t('Cancel')}</Button> : null}
        </span>
      </div>
      <ol class="stages">
        {run.stages.map((stage, index) => (
          <Stage key={`${stage.stage} ${index}`} stage={stage} isRunning={run.status === 'running'} />
        ))}
      </ol>
      <p class="muted last-line mono">{run.status === 'running' ? (run.state ?? run.lastLine ?? '') : ''}</p>
      {run.status === 'done' ? (
        <Banner tone="info">
          <p>
            {run.endpoint?.status?.scoringUri === undefined
              ? l10n.t('Done.')
              : l10n.t('Done: it answers at {0}', run.endpoint.status.scoringUri)}
          </p>
          <span class="actions">{children}</span>
        </Banner>
      ) : null}
      {run.status === 'cancelled' ? <Banner tone="warning">{run.error?.remedy ?? l10n.t('Cancelled.')}</Banner> : null}
      {run.status === 'failed' && run.error !== undefined ? (
        <FailureBanner failure={failureOf(AksmlError.fromJSON(run.error))}>
          <span class="actions">{onFailed}</span>
        </FailureBanner>
      ) : null}
    </section>
  );
}

function Stage({ stage, isRunning }: { readonly stage: StageView; readonly isRunning: boolean }): VNode {
  const { status, label, detail, reused, share } = stage;
  return (
    <li class={`stage ${status}`}>
      {status === 'running' ? isRunning ? <Spinner /> : <Icon name="circle" /> : null}
      {status === 'done' ? <Icon name="check" /> : null}
      {status === 'failed' ? <Icon name="error" /> : null}
      <span>
        {label}{' '}
        <span class="detail">
          {reused ? `${l10n.t('reused')} · ` : ''}
          {detail}
        </span>
        {status === 'running' && isRunning && share !== undefined ? (
          <progress value={share} max={1} aria-label={label} />
        ) : null}
      </span>
    </li>
  );
}
