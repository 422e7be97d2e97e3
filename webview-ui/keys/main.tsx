import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import * as v from 'valibot';
import { KEYS_FORM, type SecretName } from '../../src/contract/webview/keys.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { connect } from '../host/host.ts';
import { l10n } from '../host/l10n.ts';
import { KEYS_START, type KeyName, reduceKeys } from './model.ts';
import { KeysView } from './view.tsx';

registerComponents();
/** Nothing of this form is kept over a reload but what it was opened for. */
const host = connect(KEYS_FORM, v.undefined());

function Keys(): VNode {
  const [state, dispatch] = useReducer(reduceKeys, KEYS_START);
  const attempt = (work: Promise<void>) =>
    void work.catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  useEffect(() => {
    host.on('endpoint', ({ endpoint }) => dispatch({ type: 'endpoint', endpoint }));
    host.on('gone', () => dispatch({ type: 'gone' }));
    attempt(host.request('open', {}).then(({ endpoint }) => dispatch({ type: 'endpoint', endpoint })));
  }, []);
  const reveal = async (which: SecretName) => {
    const { value } = await host.request('reveal', { which });
    dispatch({ type: 'shown', which, value });
  };
  const copy = async (which: SecretName) => {
    await host.request('copy', { which });
    dispatch({ type: 'done', text: l10n.t('Copied.') });
  };
  const regenerate = async (which: KeyName) => {
    dispatch({ type: 'busy', which });
    await host.request('regenerate', { which });
    dispatch({ type: 'regenerated', which, text: l10n.t('The key is replaced.') });
  };
  const fetchToken = async () => {
    dispatch({ type: 'busy', which: 'token' });
    dispatch({ type: 'token', token: await host.request('fetchToken', {}) });
  };
  return (
    <KeysView
      state={state}
      dispatch={dispatch}
      onReveal={(which) => attempt(reveal(which))}
      onCopy={(which) => attempt(copy(which))}
      onRegenerate={(which) => attempt(regenerate(which))}
      onFetch={() => attempt(fetchToken())}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<Keys />, root);
