import { render, type VNode } from 'preact';
import { useEffect, useReducer } from 'preact/hooks';
import { CONFIGURATION_FORM } from '../../src/contract/webview/configuration.ts';
import { failureOf } from '../components/failure.ts';
import { registerComponents } from '../components/toolkit.ts';
import { useDraft } from '../host/draft.ts';
import { connect } from '../host/host.ts';
import type { FieldSpec } from './fields.ts';
import { reduceConfiguration, startConfiguration, VIEW_DRAFT } from './model.ts';
import { ConfigurationView } from './view.tsx';

registerComponents();
/** The file is the truth: only how the form looks at it is kept over a reload. */
const host = connect(CONFIGURATION_FORM, VIEW_DRAFT);

function Configuration(): VNode {
  const [state, dispatch] = useReducer(reduceConfiguration, host.saved, startConfiguration);
  const attempt = (work: Promise<unknown>) =>
    void work.catch((error: unknown) => dispatch({ type: 'failed', failure: failureOf(error) }));
  useEffect(() => {
    host.on('file', (file) => dispatch({ type: 'file', file }));
    host.on('problems', ({ problems }) => dispatch({ type: 'problems', problems }));
    host.on('offers', (offers) => dispatch({ type: 'offers', offers }));
    attempt(host.request('open', {}).then((opened) => dispatch({ type: 'opened', ...opened })));
  }, []);
  useDraft(host, () => ({ filter: state.filter, load: state.load }), [state.filter, state.load]);

  const edit = (path: readonly string[], value: unknown) =>
    attempt(host.request('edit', { path: [...path], ...(value === undefined ? {} : { value }) }));
  const browse = async ({ path: key, id }: FieldSpec) => {
    if (state.file === undefined) return;
    const kind = id === 'sourceDirectory' ? 'folder' : 'file';
    const { path } = await host.request('browse', { kind, file: state.file.file, path: [...key] });
    if (path !== undefined) edit(key, path);
  };
  return (
    <ConfigurationView
      state={state}
      dispatch={dispatch}
      onEdit={edit}
      onBrowse={(spec) => attempt(browse(spec))}
      onOpenAsText={() => attempt(host.request('openAsText', {}))}
      onDeploy={() => attempt(host.request('deploy', {}))}
    />
  );
}

const root = document.getElementById('form');
if (root) render(<Configuration />, root);
