import type { VNode } from 'preact';
import { FailureBanner, Head, Loading } from '../components/parts.tsx';
import { Button } from '../components/toolkit.ts';
import { l10n } from '../host/l10n.ts';
import { FileForm, type FileFormProps } from './file-view.tsx';
import type { ConfigurationAction, ConfigurationState } from './model.ts';

export interface ConfigurationViewProps extends Pick<FileFormProps, 'onEdit' | 'onBrowse' | 'onOpenAsText'> {
  readonly state: ConfigurationState;
  readonly dispatch: (action: ConfigurationAction) => void;
  readonly onDeploy: () => void;
}

export function ConfigurationView({ state, dispatch, onDeploy, ...actions }: ConfigurationViewProps): VNode {
  const { file } = state;
  const title = l10n.t('Configuration');
  if (file === undefined) return <Loading title={title} failure={state.failure} />;
  return (
    <main>
      <Head
        title={
          file.file === 'deploymentconfig' ? l10n.t('Deployment configuration') : l10n.t('Inference configuration')
        }
        subtitle={l10n.t(
          '{0}. Relative paths start from {1}, as in v1 from the working directory.',
          file.path,
          state.folder,
        )}
      >
        <Button onClick={actions.onOpenAsText}>{l10n.t('Open as text')}</Button>
        <Button appearance="primary" onClick={onDeploy}>
          {l10n.t('Deploy…')}
        </Button>
      </Head>
      {state.failure === undefined ? null : (
        <FailureBanner failure={state.failure} onDismiss={() => dispatch({ type: 'dismiss' })} />
      )}
      <FileForm
        {...actions}
        file={file}
        problems={state.problems}
        offers={state.offers}
        filter={state.filter}
        load={state.load}
        onFilter={(filter) => dispatch({ type: 'filter', filter })}
        onLoad={(load) => dispatch({ type: 'load', load })}
      />
    </main>
  );
}
