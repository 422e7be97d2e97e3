import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { SecretName } from '../../src/contract/webview/keys.ts';
import { Icon, Spinner } from '../components/icon.tsx';
import { Announcement, Banner, FailureBanner, Head, Loading } from '../components/parts.tsx';
import { Button } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { claimRows, duration, type KeyName, type KeysAction, type KeysState, timeLeft } from './model.ts';

export interface KeysViewProps {
  readonly state: KeysState;
  readonly dispatch: (action: KeysAction) => void;
  readonly onReveal: (which: SecretName) => void;
  readonly onCopy: (which: SecretName) => void;
  readonly onRegenerate: (which: KeyName) => void;
  readonly onFetch: () => void;
}

export function KeysView(props: KeysViewProps): VNode {
  const { state, dispatch } = props;
  const { endpoint } = state;
  if (endpoint === undefined) return <Loading title={l10n.t('Keys and tokens')} failure={state.failure} />;
  const { name } = endpoint.metadata;
  const { auth } = endpoint.spec;
  return (
    <main>
      <Head title={l10n.t('Keys and tokens of {0}', name)} subtitle={endpoint.status?.scoringUri} />
      {state.isGone ? <Banner tone="warning">{l10n.t('{0} has been deleted.', name)}</Banner> : null}
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      <Announcement text={state.done ?? ''} />
      {auth === 'key' ? <Keys {...props} /> : null}
      {auth === 'token' ? <Token {...props} /> : null}
      {auth === 'none' ? <Open name={name} isLocal={endpoint.spec.computeType === 'local'} /> : null}
    </main>
  );
}

function Open({ name, isLocal }: { readonly name: string; readonly isLocal: boolean }): VNode {
  return (
    <Banner tone={isLocal ? 'info' : 'warning'}>
      <p>{l10n.t('{0} asks for no key and no token: whoever reaches it can call it.', name)}</p>
      <p>
        {isLocal
          ? l10n.t('The compute type "local" has no authentication. With "aks" it works on this machine, too.')
          : l10n.t('Set authEnabled or tokenAuthEnabled in the deployment configuration and deploy again.')}
      </p>
    </Banner>
  );
}

function Keys(props: KeysViewProps): VNode {
  return (
    <section aria-label={l10n.t('Keys')}>
      <p class="lead muted">
        {l10n.t(
          'Calls carry one of the two keys: Authorization: Bearer KEY. Both are valid at any time, so that one can be replaced while callers use the other.',
        )}
      </p>
      <Key {...props} which="primary" title={l10n.t('Primary key')} />
      <Key {...props} which="secondary" title={l10n.t('Secondary key')} />
    </section>
  );
}

interface KeyProps extends KeysViewProps {
  readonly which: KeyName;
  readonly title: string;
}

function Key({ state, dispatch, onReveal, onCopy, onRegenerate, which, title }: KeyProps): VNode {
  const shown = state.shown[which];
  const isBusy = state.busy === which;
  const other = which === 'primary' ? l10n.t('secondary') : l10n.t('primary');
  const disabled = state.busy !== undefined || state.isGone;
  return (
    <section class="secret-row" aria-label={title}>
      <h2>{title}</h2>
      <div class="row">
        <Secret value={shown} label={title} />
        <span class="actions">
          <Button
            appearance="icon"
            label={shown === undefined ? l10n.t('Show the key: {0}', title) : l10n.t('Hide the key: {0}', title)}
            disabled={disabled}
            onClick={() => (shown === undefined ? onReveal(which) : dispatch({ type: 'hide', which }))}
          >
            <Icon name={shown === undefined ? 'eye' : 'eyeClosed'} />
          </Button>
          <Button
            appearance="icon"
            label={l10n.t('Copy the key: {0}', title)}
            disabled={disabled}
            onClick={() => onCopy(which)}
          >
            <Icon name="copy" />
          </Button>
          <Button
            label={l10n.t('Regenerate… {0}', title)}
            disabled={disabled}
            onClick={() => dispatch({ type: 'ask', which })}
          >
            {l10n.t('Regenerate…')}
          </Button>
          {isBusy ? <Spinner /> : null}
        </span>
      </div>
      {state.asking === which ? (
        <Banner tone="warning">
          <p>
            {l10n.t(
              'The present {0} is refused at once: callers that use it get 401 until they have the new one. The {1} key stays valid.',
              title.toLowerCase(),
              other,
            )}
          </p>
          <span class="actions">
            <Button appearance="primary" onClick={() => onRegenerate(which)}>
              {l10n.t('Regenerate')}
            </Button>
            <Button onClick={() => dispatch({ type: 'keep' })}>{l10n.t('Keep it')}</Button>
          </span>
        </Banner>
      ) : null}
    </section>
  );
}

const MASK = '•'.repeat(32);

function Secret({ value, label }: { readonly value: string | undefined; readonly label: string }): VNode {
  return (
    <code class={`secret grow ${value === undefined ? 'masked' : ''}`}>
      <span class="hidden-visually">{value === undefined ? l10n.t('{0}, hidden', label) : label} </span>
      <span aria-hidden={value === undefined}>{value ?? MASK}</span>
    </code>
  );
}

function Token({ state, dispatch, onReveal, onCopy, onFetch }: KeysViewProps): VNode {
  const { token, shown } = state;
  const disabled = state.busy !== undefined || state.isGone;
  return (
    <section aria-label={l10n.t('Token')}>
      <p class="lead muted">
        {l10n.t(
          'Calls carry a token: Authorization: Bearer TOKEN. Who may fetch one decides who may call; it is good until it expires.',
        )}
      </p>
      <div class="row">
        <Button appearance="primary" disabled={disabled} onClick={onFetch}>
          {token === undefined ? l10n.t('Fetch a token') : l10n.t('Fetch a new token')}
        </Button>
        {state.busy === 'token' ? <Spinner /> : null}
      </div>
      {token === undefined ? null : (
        <>
          <h2>{l10n.t('Token')}</h2>
          <div class="row">
            <Secret value={shown.token} label={l10n.t('Token')} />
            <span class="actions">
              <Button
                appearance="icon"
                label={shown.token === undefined ? l10n.t('Show the token') : l10n.t('Hide the token')}
                onClick={() =>
                  shown.token === undefined ? onReveal('token') : dispatch({ type: 'hide', which: 'token' })
                }
              >
                <Icon name={shown.token === undefined ? 'eye' : 'eyeClosed'} />
              </Button>
              <Button appearance="icon" label={l10n.t('Copy the token')} onClick={() => onCopy('token')}>
                <Icon name="copy" />
              </Button>
            </span>
          </div>
          <Countdown token={token} />
          <h2>{l10n.t('Claims')}</h2>
          <dl class="facts">
            {claimRows(token.claims).map(([name, value]) => (
              <>
                <dt class="mono">{name}</dt>
                <dd class="mono">{value}</dd>
              </>
            ))}
          </dl>
        </>
      )}
    </section>
  );
}

function Countdown({ token }: { readonly token: NonNullable<KeysState['token']> }): VNode {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = timeLeft(token, now);
  return (
    <p class={left.isExpired ? 'state bad' : left.isStale ? 'state careful' : 'state good'}>
      <Icon name={left.isExpired ? 'error' : left.isStale ? 'warning' : 'check'} />
      {left.isExpired ? l10n.t('Expired') : l10n.t('Valid for {0}', duration(left.seconds))}
      <span class="muted">
        {left.isExpired || left.isStale
          ? l10n.t('fetch a new one')
          : l10n.t('fetch a new one after {0}', new Date(token.refreshAfter * 1000).toLocaleTimeString())}
      </span>
    </p>
  );
}
