import type { VNode } from 'preact';
import type { Endpoint, VersionStatus } from '../../src/contract/endpoint.ts';
import { Icon } from '../components/icon.tsx';
import { Announcement, Banner, FailureBanner, Head, Loading, State } from '../components/parts.tsx';
import { Button, Checkbox, Dropdown, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { isChanged, measuredShares, type RolloutAction, type RolloutState, STEPS, splitOf } from './model.ts';
import type { Split, SplitVersion } from './split.ts';

export interface RolloutViewProps {
  readonly state: RolloutState;
  readonly dispatch: (action: RolloutAction) => void;
  readonly onApply: () => void;
  readonly onRollBack: (versionName: string) => void;
}

export function RolloutView({ state, dispatch, onApply, onRollBack }: RolloutViewProps): VNode {
  const { endpoint } = state;
  if (endpoint === undefined) return <Loading title={l10n.t('Rollout')} failure={state.failure} />;
  const { name } = endpoint.metadata;
  return (
    <main>
      <Head title={l10n.t('Rollout of {0}', name)} subtitle={l10n.t('Who gets how much of the requests.')}>
        {endpoint.status === undefined ? null : <State status={endpoint.status} />}
      </Head>
      {state.isGone ? <Banner tone="warning">{l10n.t('{0} has been deleted.', name)}</Banner> : null}
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      <Announcement text={state.done ?? ''} />
      {endpoint.spec.versions.length < 2 ? <OneVersion endpoint={endpoint} /> : null}
      <Shares state={state} />
      <Versions state={state} endpoint={endpoint} dispatch={dispatch} onRollBack={onRollBack} />
      {endpoint.spec.versions.length < 2 ? null : <Footer state={state} dispatch={dispatch} onApply={onApply} />}
    </main>
  );
}

function OneVersion({ endpoint }: { readonly endpoint: Endpoint }): VNode {
  return (
    <Banner tone="info">
      {endpoint.spec.form === 'service'
        ? l10n.t(
            'A service has one version, which takes all requests. To split traffic, deploy with the compute type "aksendpoint" and create a second version.',
          )
        : l10n.t('This endpoint has one version. Create a second one to split traffic.')}
    </Banner>
  );
}

/** The split that is wished for, and the one that was measured, as two bars over each other. */
function Shares({ state }: { readonly state: RolloutState }): VNode {
  const measured = measuredShares(state.samples);
  const expected = new Map(state.split.map(({ name, share }) => [name, share]));
  return (
    <section aria-label={l10n.t('Split')}>
      <h2>{l10n.t('Split')}</h2>
      <dl class="facts split-bars">
        <dt>{l10n.t('Expected')}</dt>
        <dd>
          <Bar split={state.split} shares={expected} />
        </dd>
        <dt>{l10n.t('Measured, last 30 s')}</dt>
        <dd>
          {measured === undefined ? (
            <span class="muted">{l10n.t('No requests')}</span>
          ) : (
            <Bar split={state.split} shares={measured} />
          )}
        </dd>
      </dl>
    </section>
  );
}

function Bar({ split, shares }: { readonly split: Split; readonly shares: ReadonlyMap<string, number> }): VNode {
  const text = split.map(({ name }) => `${name} ${percent(shares.get(name) ?? 0)}`).join(', ');
  return (
    <div class="bar" role="img" aria-label={text} title={text}>
      {split.map(({ name }, index) => (
        <span key={name} class={`series-${index % 6}`} style={{ flexBasis: `${shares.get(name) ?? 0}%` }} />
      ))}
    </div>
  );
}

interface VersionsProps extends Pick<RolloutViewProps, 'state' | 'dispatch' | 'onRollBack'> {
  readonly endpoint: Endpoint;
}

function Versions({ state, endpoint, dispatch, onRollBack }: VersionsProps): VNode {
  const measured = measuredShares(state.samples);
  const before = new Map(splitOf(endpoint).map((version) => [version.name, version]));
  return (
    <section aria-label={l10n.t('Versions')}>
      <div class="row">
        <h2>{l10n.t('Versions')}</h2>
        {state.split.length < 2 ? null : (
          <span class="end row">
            <span class="muted">{l10n.t('Shift by')}</span>
            <span class="step">
              <Dropdown
                label={l10n.t('Percent that the shift buttons move')}
                value={String(state.step)}
                choices={STEPS.map((step) => ({ value: String(step), text: `${step} %` }))}
                onChange={(step) => dispatch({ type: 'step', step: Number(step) })}
              />
            </span>
          </span>
        )}
      </div>
      <div class="versions">
        {state.split.map((version, index) => (
          <Version
            key={version.name}
            index={index}
            version={version}
            before={before.get(version.name)}
            spec={endpoint.spec.versions.find(({ name }) => name === version.name)}
            status={endpoint.status?.versions.find(({ name }) => name === version.name)}
            measured={measured?.get(version.name) ?? (measured === undefined ? undefined : 0)}
            isOnly={state.split.length < 2}
            isBusy={state.busy !== undefined || state.isGone}
            step={state.step}
            dispatch={dispatch}
            onRollBack={onRollBack}
          />
        ))}
      </div>
    </section>
  );
}

interface VersionProps extends Pick<RolloutViewProps, 'dispatch' | 'onRollBack'> {
  readonly index: number;
  readonly version: SplitVersion;
  readonly before: SplitVersion | undefined;
  readonly spec: Endpoint['spec']['versions'][number] | undefined;
  readonly status: VersionStatus | undefined;
  readonly measured: number | undefined;
  readonly isOnly: boolean;
  readonly isBusy: boolean;
  readonly step: number;
}

function Version(props: VersionProps): VNode {
  const { index, version, before, spec, status, measured, isOnly, isBusy, dispatch, onRollBack } = props;
  const { name, isDefault, isControl, share } = version;
  const isMoved = before !== undefined && before.share !== share;
  return (
    <section class={`version series-${index % 6} ${isMoved ? 'moved' : ''}`} aria-label={name}>
      <div class="row">
        <h3>
          <span class="swatch" />
          {name}
        </h3>
        {isDefault ? <span class="tag">{l10n.t('default')}</span> : null}
        {status === undefined ? null : <State status={status} />}
        <span class="muted">
          {spec?.models.join(', ')} · {l10n.t('revision {0}', spec?.revisionNumber ?? 0)}
          {status === undefined
            ? ''
            : ` · ${l10n.t('{0} of {1} replicas', status.availableReplicas, status.desiredReplicas)}`}
        </span>
      </div>
      {isOnly ? null : <ShareControls {...props} isMoved={isMoved} />}
      <div class="row roles">
        {isOnly ? null : (
          <>
            <Checkbox
              label={l10n.t('{0} is the default', name)}
              checked={isDefault}
              disabled={isBusy || isDefault}
              onChange={() => dispatch({ type: 'default', name })}
            >
              {l10n.t('Default')}
            </Checkbox>
            <Checkbox
              label={l10n.t('{0} is the control', name)}
              checked={isControl}
              disabled={isBusy}
              onChange={(checked) => dispatch({ type: 'control', name: checked ? name : undefined })}
            >
              {l10n.t('Control')}
            </Checkbox>
          </>
        )}
        <span class="muted measured">{measured === undefined ? '' : l10n.t('measured {0}', percent(measured))}</span>
        <span class="end row">
          {isOnly ? null : (
            <Button
              label={l10n.t('Promote {0}: all traffic, and default', name)}
              disabled={isBusy || (share === 100 && isDefault)}
              onClick={() => dispatch({ type: 'promote', name })}
            >
              {l10n.t('Promote')}
            </Button>
          )}
          <Button
            label={l10n.t('Roll back {0} to its revision {1}', name, (spec?.revisionNumber ?? 1) - 1)}
            disabled={isBusy || (spec?.revisionNumber ?? 1) < 2}
            onClick={() => onRollBack(name)}
          >
            {l10n.t('Roll back')}
          </Button>
        </span>
      </div>
    </section>
  );
}

function ShareControls({
  version,
  before,
  isMoved,
  isBusy,
  step,
  dispatch,
}: VersionProps & { isMoved: boolean }): VNode {
  const { name, share } = version;
  const move = (to: number) => dispatch({ type: 'move', name, share: to });
  return (
    <div class="share">
      <Button
        appearance="icon"
        label={l10n.t('{0}: {1} % less', name, step)}
        disabled={isBusy || share === 0}
        onClick={() => dispatch({ type: 'shift', name, direction: -1 })}
      >
        <Icon name="remove" />
      </Button>
      <input
        type="range"
        min={0}
        max={100}
        step={1}
        value={share}
        disabled={isBusy}
        aria-label={l10n.t('Traffic of {0}', name)}
        aria-valuetext={percent(share)}
        style={{ '--fill': `${share}%` }}
        onInput={(event) => move(Number(event.currentTarget.value))}
      />
      <Button
        appearance="icon"
        label={l10n.t('{0}: {1} % more', name, step)}
        disabled={isBusy || share === 100}
        onClick={() => dispatch({ type: 'shift', name, direction: 1 })}
      >
        <Icon name="add" />
      </Button>
      <span class="figure">
        <TextField
          label={l10n.t('Traffic of {0} in percent', name)}
          value={String(share)}
          inputMode="decimal"
          disabled={isBusy}
          onInput={(text) => {
            if (text.trim() !== '' && Number.isFinite(Number(text))) move(Number(text));
          }}
        />{' '}
        %
      </span>
      <span class="muted was">{isMoved ? l10n.t('was {0}', percent(before?.share ?? 0)) : ''}</span>
    </div>
  );
}

function Footer({ state, dispatch, onApply }: Omit<RolloutViewProps, 'onRollBack'>): VNode {
  const changed = isChanged(state);
  const isBusy = state.busy !== undefined || state.isGone;
  const hasOthers = state.split.some(({ isDefault, share }) => !isDefault && share > 0);
  return (
    <footer class="footer actions">
      <Button appearance="primary" disabled={!changed || isBusy} onClick={onApply}>
        {l10n.t('Apply')}
      </Button>
      <Button disabled={!changed || isBusy} onClick={() => dispatch({ type: 'reset' })}>
        {l10n.t('Discard')}
      </Button>
      <Button disabled={!hasOthers || isBusy} onClick={() => dispatch({ type: 'withdraw' })}>
        {l10n.t('All back to the default')}
      </Button>
      <span class="muted" aria-live="polite">
        {state.busy === 'apply' ? l10n.t('Applying…') : null}
        {state.busy === 'rollBack' ? l10n.t('Rolling back…') : null}
        {state.busy === undefined && changed ? l10n.t('Nothing has changed yet: apply to make it so.') : null}
        {state.busy === undefined && !changed ? state.done : null}
      </span>
    </footer>
  );
}

export function percent(share: number): string {
  return `${Number(share.toFixed(share < 10 ? 2 : 1))} %`;
}
