import type { VNode } from 'preact';
import type { ConfigurationFile } from '../../src/contract/webview/configuration.ts';
import type { FileChange } from '../../src/contract/webview/deploy.ts';
import { Icon } from '../components/icon.tsx';
import { FailureBanner, Field, Head, Loading, Scroller, TabPanel, Tabs } from '../components/parts.tsx';
import { Run } from '../components/run-view.tsx';
import { Button, Checkbox, Dropdown, TextField } from '../components/toolkit.ts';
import type { FieldSpec } from '../configuration/fields.ts';
import { FileForm } from '../configuration/file-view.tsx';
import { l10n } from '../host/l10n.ts';
import {
  canDeploy,
  changesOf,
  type DeployAction,
  type DeployState,
  nameProblem,
  problemsOf,
  problemsOfFile,
} from './model.ts';
import { Plan } from './plan-view.tsx';

export interface DeployViewProps {
  readonly state: DeployState;
  readonly dispatch: (action: DeployAction) => void;
  readonly onBrowse: (file: ConfigurationFile, spec: FieldSpec) => void;
  readonly onBrowseModel: () => void;
  readonly onOpenDiff: (path: string) => void;
  readonly onOpenAsText: (path: string) => void;
  readonly onWrite: () => void;
  readonly onDeploy: () => void;
  readonly onCancel: () => void;
  readonly onFollow: (action: 'open' | 'test' | 'logs' | 'copyUri') => void;
}

export function DeployView(props: DeployViewProps): VNode {
  const { state, dispatch } = props;
  if (!state.isOpen) return <Loading title={l10n.t('Deploy')} failure={state.failure} />;
  return (
    <main>
      <Head
        title={
          state.wish.versionName === undefined
            ? l10n.t('Deploy {0}', state.wish.name)
            : l10n.t('New version {0} of {1}', state.wish.versionName, state.wish.name)
        }
        subtitle={l10n.t('Relative paths start from {0}, as in v1 from the working directory.', state.folder)}
      />
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      {state.run === undefined ? null : <Progress {...props} />}
      <What {...props} />
      <Parts {...props} />
      <Footer {...props} />
    </main>
  );
}

function Progress({ state, onCancel, onFollow }: DeployViewProps): VNode | null {
  const { run, wish } = state;
  if (run === undefined) return null;
  return (
    <Run
      run={run}
      title={run.status === 'running' ? l10n.t('Deploying {0}', wish.name) : l10n.t('Deployment of {0}', wish.name)}
      onCancel={onCancel}
      onFailed={<Button onClick={() => onFollow('logs')}>{l10n.t('Logs')}</Button>}
    >
      <Button appearance="primary" onClick={() => onFollow('test')}>
        {l10n.t('Test')}
      </Button>
      <Button onClick={() => onFollow('open')}>{l10n.t('Open the endpoint')}</Button>
      <Button onClick={() => onFollow('copyUri')}>{l10n.t('Copy the URI')}</Button>
      <Button onClick={() => onFollow('logs')}>{l10n.t('Logs')}</Button>
    </Run>
  );
}

function What({ state, dispatch, onBrowseModel }: DeployViewProps): VNode {
  const { wish, choices } = state;
  const problem = nameProblem(wish);
  const exists = problemsOf(state).some(({ code }) => code === 'service.exists') || wish.overwrite;
  return (
    <section class="columns two fields-plain" aria-label={l10n.t('What is deployed')}>
      <Field label={l10n.t('Name')} help={l10n.t('Of the endpoint; it becomes part of the scoring URI.')}>
        <TextField
          label={l10n.t('Name')}
          value={wish.name}
          invalid={problem !== undefined}
          description={problem}
          onInput={(name) => dispatch({ type: 'wish', changes: { name } })}
        />
        {problem === undefined ? null : <p class="wrong">{problem}</p>}
        {exists && wish.versionName === undefined ? (
          <p class="spaced">
            <Checkbox
              label={l10n.t('Replace what {0} runs now', wish.name)}
              checked={wish.overwrite}
              onChange={(overwrite) => dispatch({ type: 'wish', changes: { overwrite } })}
            >
              {l10n.t('Replace what {0} runs now', wish.name)}
            </Checkbox>
          </p>
        ) : null}
        {wish.versionName === undefined ? null : (
          <p class="spaced">
            <span class="muted">{l10n.t('Version')}</span>
            <TextField
              label={l10n.t('Name of the version')}
              value={wish.versionName}
              onInput={(versionName) => dispatch({ type: 'wish', changes: { versionName } })}
            />
          </p>
        )}
      </Field>
      <Field label={l10n.t('Compute target')} help={l10n.t('This machine, or an attached cluster.')}>
        <Dropdown
          label={l10n.t('Compute target')}
          value={wish.target}
          choices={[...new Set([...choices.targets, wish.target])].map((name) => ({ value: name, text: name }))}
          onChange={(target) => dispatch({ type: 'wish', changes: { target } })}
        />
        <p class="spaced">
          <Checkbox
            label={l10n.t('Look for newer packages')}
            checked={wish.refreshEnvironment === true}
            onChange={(refreshEnvironment) => dispatch({ type: 'wish', changes: { refreshEnvironment } })}
          >
            {l10n.t('Look for newer packages')}
          </Checkbox>
        </p>
      </Field>
      <Field
        label={l10n.t('Models')}
        help={l10n.t('Registered models, or files and folders, which are registered first.')}
      >
        <ul class="chips">
          {wish.models.map((model) => (
            <li key={model} class="chip">
              <span>{model}</span>
              <Button
                appearance="icon"
                label={l10n.t('Leave out {0}', model)}
                onClick={() => dispatch({ type: 'removeModel', model })}
              >
                <Icon name="close" />
              </Button>
            </li>
          ))}
        </ul>
        <div class="row">
          <span class="grow">
            <Dropdown
              label={l10n.t('Add a registered model')}
              value=""
              choices={[
                { value: '', text: l10n.t('Add a registered model') },
                ...choices.models
                  .filter(({ id }) => !wish.models.includes(id))
                  .map(({ id, framework }) => ({ value: id, text: `${id} (${framework})` })),
              ]}
              onChange={(model) => {
                if (model !== '') dispatch({ type: 'addModel', model });
              }}
            />
          </span>
          <Button onClick={onBrowseModel}>{l10n.t('Add a file…')}</Button>
        </div>
      </Field>
      <Field label={l10n.t('Files')} help={l10n.t('What the deployment is described by.')}>
        <FileChoice
          label={l10n.t('Deployment configuration')}
          value={wish.deploymentConfigFile}
          files={choices.deploymentFiles}
          onChange={(deploymentConfigFile) => dispatch({ type: 'wish', changes: { deploymentConfigFile } })}
        />
        <FileChoice
          label={l10n.t('Inference configuration')}
          value={wish.inferenceConfigFile}
          files={choices.inferenceFiles}
          onChange={(inferenceConfigFile) => dispatch({ type: 'wish', changes: { inferenceConfigFile } })}
        />
      </Field>
    </section>
  );
}

interface FileChoiceProps {
  readonly label: string;
  readonly value: string | undefined;
  readonly files: readonly string[];
  readonly onChange: (file: string | undefined) => void;
}

function FileChoice({ label, value, files, onChange }: FileChoiceProps): VNode {
  const all = [...new Set([...(value === undefined ? [] : [value]), ...files])];
  return (
    <div class="stack">
      <span class="muted">{label}</span>
      <Dropdown
        label={label}
        value={value ?? ''}
        choices={[{ value: '', text: l10n.t('none') }, ...all.map((file) => ({ value: file, text: file }))]}
        onChange={(file) => onChange(file === '' ? undefined : file)}
      />
    </div>
  );
}

function Parts(props: DeployViewProps): VNode {
  const { state, dispatch } = props;
  const { tab } = state;
  const changes = changesOf(state);
  const marked = (text: string, file: ConfigurationFile) => {
    const count = problemsOfFile(state, file).filter(({ severity }) => severity === 'error').length;
    if (count === 0) return text;
    return count === 1 ? l10n.t('{0} (1 error)', text) : l10n.t('{0} ({1} errors)', text, count);
  };
  return (
    <section aria-label={l10n.t('Plan and configuration')}>
      <Tabs
        label={l10n.t('Plan and configuration')}
        selected={tab}
        tabs={[
          { id: 'plan', text: l10n.t('Plan') },
          { id: 'deploymentconfig', text: marked(l10n.t('Deployment'), 'deploymentconfig') },
          { id: 'inferenceconfig', text: marked(l10n.t('Script and environment'), 'inferenceconfig') },
          { id: 'changes', text: l10n.t('Changes ({0})', changes.length) },
        ]}
        onSelect={(id) => dispatch({ type: 'tab', tab: id })}
      />
      <TabPanel id={tab}>
        {tab === 'plan' ? <Plan state={state} /> : null}
        {tab === 'changes' ? <Changes {...props} /> : null}
        {tab === 'deploymentconfig' || tab === 'inferenceconfig' ? <Configuration {...props} file={tab} /> : null}
      </TabPanel>
    </section>
  );
}

function Configuration(props: DeployViewProps & { readonly file: ConfigurationFile }): VNode {
  const { state, dispatch, file, onBrowse, onOpenAsText } = props;
  const view = state.evaluation?.files.find((candidate) => candidate.file === file);
  if (view === undefined) {
    return (
      <p class="empty">
        {file === 'inferenceconfig'
          ? l10n.t(
              'No inference configuration is chosen: aksml serves the model without a script, where its framework allows that.',
            )
          : l10n.t('No deployment configuration is chosen: every setting has its default.')}
      </p>
    );
  }
  return (
    <FileForm
      file={view}
      problems={problemsOfFile(state, file)}
      offers={state.offers}
      filter={state.filter}
      load={state.load}
      onFilter={(filter) => dispatch({ type: 'filter', filter })}
      onLoad={(load) => dispatch({ type: 'load', load })}
      onEdit={(path, value) => dispatch({ type: 'edit', file, path, value })}
      onBrowse={(spec) => onBrowse(file, spec)}
      onOpenAsText={() => onOpenAsText(view.path)}
    />
  );
}

function Changes({ state, dispatch, onOpenDiff, onWrite }: DeployViewProps): VNode {
  const changes = changesOf(state);
  if (changes.length === 0) return <p class="empty">{l10n.t('The files are as they are on the disk.')}</p>;
  return (
    <div>
      <p class="muted">{l10n.t('Nothing of this is written yet.')}</p>
      {changes.map((change) => (
        <Change key={change.path} change={change} onOpenDiff={onOpenDiff} />
      ))}
      <p class="actions">
        <Button onClick={onWrite}>{l10n.t('Write')}</Button>
        <Button disabled={state.wish.edits.length === 0} onClick={() => dispatch({ type: 'discard' })}>
          {l10n.t('Discard')}
        </Button>
      </p>
    </div>
  );
}

const MARKS = { added: '+', removed: '−', same: ' ', gap: '⋯' } as const;

function Change({
  change,
  onOpenDiff,
}: {
  readonly change: FileChange;
  readonly onOpenDiff: (path: string) => void;
}): VNode {
  return (
    <section aria-label={change.path}>
      <div class="row">
        <h3>{change.path}</h3>
        {change.isNew ? <span class="tag">{l10n.t('new')}</span> : null}
        <span class="end">
          <Button label={l10n.t('Open in the diff editor: {0}', change.path)} onClick={() => onOpenDiff(change.path)}>
            {l10n.t('Open in the diff editor')}
          </Button>
        </span>
      </div>
      <Scroller label={l10n.t('Differences of {0}', change.path)}>
        <pre class="diff">
          {change.lines.map(({ kind, text }, index) => (
            <span class={`line ${kind}`} key={`${index} ${text}`}>
              {MARKS[kind]} {text}
            </span>
          ))}
        </pre>
      </Scroller>
    </section>
  );
}

function Footer({ state, dispatch, onDeploy }: DeployViewProps): VNode {
  const changes = changesOf(state);
  const isReady = canDeploy(state);
  const isSeen = changes.length === 0 || state.tab === 'changes';
  // What is written is what was seen, so that only a deployment without changes waits for its plan.
  const isBusy = state.isAwaited || (state.isEvaluating && changes.length > 0);
  return (
    <footer class="footer actions">
      {isSeen ? (
        <Button appearance="primary" disabled={!isReady || isBusy} onClick={onDeploy}>
          {changes.length === 0 ? l10n.t('Deploy') : l10n.t('Write and deploy')}
        </Button>
      ) : (
        <Button appearance="primary" disabled={!isReady} onClick={() => dispatch({ type: 'tab', tab: 'changes' })}>
          {l10n.t('Review the changes')}
        </Button>
      )}
      <span class="muted">
        {state.isAwaited
          ? l10n.t('Deploying once it is planned…')
          : changes.length === 0
            ? ''
            : l10n.t('Written first: {0}', changes.map(({ path }) => path).join(', '))}
      </span>
    </footer>
  );
}
