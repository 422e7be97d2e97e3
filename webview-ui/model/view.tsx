import type { VNode } from 'preact';
import { FRAMEWORKS } from '../../src/contract/webview/model.ts';
import { Banner, FailureBanner, Field, Head, Loading } from '../components/parts.tsx';
import { Run } from '../components/run-view.tsx';
import { Button, Dropdown, TextArea, TextField } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { draftProblems, type ModelAction, type ModelDraft, type ModelState, nextVersion } from './model.ts';

export interface ModelViewProps {
  readonly state: ModelState;
  readonly dispatch: (action: ModelAction) => void;
  readonly onBrowse: (kind: 'file' | 'folder') => void;
  readonly onRegister: () => void;
  readonly onCancel: () => void;
  readonly onDeploy: (id: string) => void;
}

export function ModelView(props: ModelViewProps): VNode {
  const { state, dispatch, onRegister, onCancel, onDeploy } = props;
  if (!state.isOpen) return <Loading title={l10n.t('Register a model')} failure={state.failure} />;
  const { run, registered } = state;
  const isRunning = run?.status === 'running';
  const isComplete = Object.keys(draftProblems(state.draft)).length === 0;
  return (
    <main>
      <Head
        title={l10n.t('Register a model')}
        subtitle={l10n.t('Its files are copied into the workspace as the next version of its name.')}
      />
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      {registered === undefined ? null : (
        <Banner tone="info">
          <p>{l10n.t('Registered as {0}.', registered.id)}</p>
          <span class="actions">
            <Button appearance="primary" onClick={() => onDeploy(registered.id)}>
              {l10n.t('Deploy…')}
            </Button>
          </span>
        </Banner>
      )}
      {run === undefined || !isRunning ? null : (
        <Run run={run} title={l10n.t('Registering {0}', state.draft.name)} onCancel={onCancel} />
      )}
      <Files {...props} />
      <Describe {...props} />
      <footer class="footer actions">
        <Button appearance="primary" disabled={isRunning || !isComplete} onClick={onRegister}>
          {l10n.t('Register')}
        </Button>
        <span class="muted">
          {isComplete
            ? l10n.t('becomes {0}:{1}', state.draft.name, nextVersion(state))
            : l10n.t('A path and a name are needed.')}
        </span>
      </footer>
    </main>
  );
}

function Files({ state, dispatch, onBrowse }: ModelViewProps): VNode {
  const { draft, recognized } = state;
  const problems = draftProblems(draft);
  const change = (changes: Partial<ModelDraft>) => dispatch({ type: 'draft', changes });
  return (
    <section class="fields-plain" aria-label={l10n.t('Files')}>
      <Field label={l10n.t('File or folder')} help={l10n.t('A folder is registered with everything in it.')}>
        <div class="row">
          <span class="grow">
            <TextField
              className="wide"
              label={l10n.t('File or folder')}
              value={draft.path}
              onInput={(path) => change({ path })}
            />
          </span>
          <Button onClick={() => onBrowse('file')}>{l10n.t('File…')}</Button>
          <Button onClick={() => onBrowse('folder')}>{l10n.t('Folder…')}</Button>
        </div>
        <p class="muted recognized" role="status">
          {recognized === undefined
            ? ''
            : l10n.t(
                'Recognized by its content: {0}',
                [recognized.format, recognized.frameworkVersion].filter(Boolean).join(' '),
              )}
        </p>
      </Field>
      <Field
        label={l10n.t('Name')}
        help={l10n.t('Files of the same model share a name; each registration is a version.')}
      >
        <TextField
          label={l10n.t('Name')}
          value={draft.name}
          invalid={draft.name !== '' && problems.name !== undefined}
          description={problems.name}
          onInput={(name) => change({ name })}
        />
        {draft.name !== '' && problems.name !== undefined ? <p class="wrong">{problems.name}</p> : null}
      </Field>
    </section>
  );
}

function Describe({ state, dispatch }: ModelViewProps): VNode {
  const { draft } = state;
  const problems = draftProblems(draft);
  const change = (changes: Partial<ModelDraft>) => dispatch({ type: 'draft', changes });
  const figure = (key: 'cpu' | 'memoryInGB' | 'gpu', label: string, unit: string): VNode => (
    <span class="stack">
      <span>{label}</span>
      <span class="row control">
        <TextField
          className="short"
          label={label}
          inputMode="decimal"
          invalid={problems[key] !== undefined}
          value={draft[key]}
          onInput={(text) => change({ [key]: text })}
        />
        <span class="unit">{unit}</span>
      </span>
    </span>
  );
  return (
    <section class="columns two fields-plain" aria-label={l10n.t('Description')}>
      <Field
        label={l10n.t('Framework')}
        help={l10n.t('ScikitLearn, Onnx and TensorFlow can be served without a scoring script.')}
      >
        <Dropdown
          label={l10n.t('Framework')}
          value={draft.framework}
          choices={[
            { value: '', text: l10n.t('(not set)') },
            ...FRAMEWORKS.map((name) => ({ value: name, text: name })),
          ]}
          onChange={(framework) => change({ framework })}
        />
      </Field>
      <Field label={l10n.t('Framework version')} help={l10n.t('The one that the model was trained with.')}>
        <TextField
          label={l10n.t('Framework version')}
          value={draft.frameworkVersion}
          onInput={(frameworkVersion) => change({ frameworkVersion })}
        />
      </Field>
      <Field label={l10n.t('Description')} help={l10n.t('What it predicts, and from what.')}>
        <TextArea
          label={l10n.t('Description')}
          rows={3}
          value={draft.description}
          onInput={(description) => change({ description })}
        />
      </Field>
      <Field label={l10n.t('Tags')} help={l10n.t('key=value, one a line.')}>
        <TextArea
          className="mono"
          label={l10n.t('Tags')}
          rows={3}
          invalid={problems.tags !== undefined}
          value={draft.tags}
          onInput={(tags) => change({ tags })}
        />
      </Field>
      <Field label={l10n.t('Resources')} help={l10n.t('Of a replica, where a deployment of this model names none.')}>
        <div class="row">
          {figure('cpu', l10n.t('CPU'), 'vCPU')}
          {figure('memoryInGB', l10n.t('Memory'), 'GiB')}
          {figure('gpu', l10n.t('GPUs'), 'GPU')}
        </div>
      </Field>
    </section>
  );
}
