import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { ENDPOINT_FORM, type EndpointAction } from '../../src/contract/webview/endpoint.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import { ENDPOINT_DRAFT, reduceEndpointPage, startEndpointPage } from './model.ts';
import { EndpointView } from './view.tsx';

registerComponents();
const host = connect(ENDPOINT_FORM, ENDPOINT_DRAFT);

function EndpointPage(): VNode {
  const [state, dispatch] = useReducer(reduceEndpointPage, host.saved, startEndpointPage);
  const attempt = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  useEffect(() => {
    host.on('endpoint', ({ endpoint }) => dispatch({ type: 'endpoint', endpoint }));
    host.on('gone', () => dispatch({ type: 'gone' }));
    host.on('metrics', (sample) => dispatch({ type: 'metrics', sample }));
    attempt(host.request('open', {}).then((opened) => dispatch({ type: 'opened', ...opened })));
  }, []);
  useDraft(host, () => ({ view: state.view, ...(state.version === undefined ? {} : { version: state.version }) }), [
    state.view,
    state.version,
  ]);
  const act = (action: EndpointAction) => attempt(host.request('act', { action }));
  return <EndpointView state={state} dispatch={dispatch} onAct={act} />;
}

const root = document.getElementById('form');
if (root) render(<EndpointPage />, root);
