import { render, type VNode } from 'preact';
import { useEffect, useReducer, useRef } from 'preact/hooks';
import { AksmlError } from '../../src/contract/error.ts';
import { REQUEST_FORM } from '../../src/contract/webview/request.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { l10n } from '../host/l10n.ts';
import { draftOf, headersOf, REQUEST_DRAFT, type RequestState, reduceRequest, startRequest } from './model.ts';
import { RequestView } from './view.tsx';

registerComponents();
const host = connect(REQUEST_FORM, REQUEST_DRAFT);

function Request(): VNode {
  const [state, dispatch] = useReducer(reduceRequest, host.saved, startRequest);
  const sending = useRef<AbortController>(undefined);
  const fail = (error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) });
  useEffect(() => {
    host.on('endpoint', ({ endpoint }) => dispatch({ type: 'endpoint', endpoint }));
    host.on('gone', () => dispatch({ type: 'gone' }));
    host
      .request('open', {})
      .then(({ endpoint }) => dispatch({ type: 'endpoint', endpoint }))
      .catch(fail);
  }, []);
  const endpointState = state.endpoint?.status?.state;
  useEffect(() => {
    if (state.endpoint === undefined || state.operation !== undefined) return;
    // Without a schema the form works all the same.
    host
      .request('swagger', {})
      .then((document) => dispatch({ type: 'swagger', document }))
      .catch(() => dispatch({ type: 'noSwagger' }));
  }, [state.endpoint === undefined, endpointState]);
  useDraft(host, () => draftOf(state), [state.body, state.headers, state.versionName, state.history]);

  const send = async () => {
    const stop = new AbortController();
    sending.current = stop;
    dispatch({ type: 'send' });
    try {
      const response = await host.request('send', wishOf(state), stop.signal);
      dispatch({ type: 'answered', response, time: Date.now() });
    } catch (error) {
      if (AksmlError.isCancelled(error)) dispatch({ type: 'cancelled' });
      else dispatch({ type: 'unanswered', failure: failureOf(error), time: Date.now() });
    }
  };
  const save = async () => {
    const { saved } = await host.request('saveAsHttp', wishOf(state));
    if (saved) dispatch({ type: 'done', text: l10n.t('Saved.') });
  };
  return (
    <RequestView
      state={state}
      dispatch={dispatch}
      onSend={() => void send()}
      onCancel={() => sending.current?.abort()}
      onSave={() => void save().catch(fail)}
    />
  );
}

function wishOf({ body, headers, versionName }: RequestState) {
  return { body, headers: headersOf(headers), ...(versionName === undefined ? {} : { versionName }) };
}

const root = document.getElementById('form');
if (root) render(<Request />, root);
