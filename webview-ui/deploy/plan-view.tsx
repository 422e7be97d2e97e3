import type { VNode } from 'preact';
import type { DeploymentPlan } from '../../src/contract/deployment.ts';
import type { Scale } from '../../src/contract/endpoint.ts';
import type { Problem } from '../../src/contract/problem.ts';
import { Spinner } from '../components/icon.tsx';
import { Banner, Problems } from '../components/parts.tsx';
import { l10n } from '../host/l10n.ts';
import { type DeployState, isDeployed, problemsOf } from './model.ts';

/** What would be done, and what speaks against it. */
export function Plan({ state }: { readonly state: DeployState }): VNode {
  const { evaluation, isEvaluating } = state;
  const plan = evaluation?.plan;
  const deployed = isDeployed(state);
  const problems = problemsOf(state)
    .filter(({ code }) => !deployed || code !== 'service.exists')
    .map(inWordsOfTheForm);
  return (
    <div class="plan">
      <p class="muted plan-state" role="status">
        {isEvaluating ? (
          <>
            <Spinner /> {l10n.t('Planning…')}
          </>
        ) : state.run?.status === 'running' ? (
          l10n.t('It is being deployed.')
        ) : deployed ? (
          l10n.t('It is deployed. To deploy it again, check "Replace what … runs now".')
        ) : problems.some(({ severity }) => severity === 'error') ? (
          l10n.t('It cannot be deployed like this:')
        ) : (
          planInWords(state)
        )}
      </p>
      {evaluation?.failure === undefined ? null : (
        <Banner tone="warning">
          <p>{evaluation.failure.message}</p>
          <p>{evaluation.failure.remedy}</p>
        </Banner>
      )}
      <Problems problems={problems} />
      {plan === undefined ? null : (
        <dl class="facts">
          <dt>{l10n.t('Action')}</dt>
          <dd>{actionInWords(plan)}</dd>
          <dt>{l10n.t('Models')}</dt>
          <dd>{plan.models.join(', ') || l10n.t('none')}</dd>
          <dt>{l10n.t('Code')}</dt>
          <dd>{plan.code}</dd>
          <dt>{l10n.t('Environment')}</dt>
          <dd>{plan.environment}</dd>
          <dt>{l10n.t('Each replica')}</dt>
          <dd>
            {l10n.t('{0} vCPU, {1} GiB', plan.settings.resources.cpu, plan.settings.resources.memoryInGB)}
            {plan.settings.resources.gpu > 0 ? `, ${plan.settings.resources.gpu} GPU` : ''}
          </dd>
          <dt>{l10n.t('Replicas')}</dt>
          <dd>
            {scaleInWords(plan.settings.scale)} <FitText state={state} />
          </dd>
          <dt>{l10n.t('Authentication')}</dt>
          <dd>{plan.settings.auth}</dd>
        </dl>
      )}
    </div>
  );
}

function planInWords({ run }: DeployState): string {
  return run === undefined
    ? l10n.t('Nothing has been done yet. Deploying would do this:')
    : l10n.t('Deploying again would do this:');
}

function FitText({ state: { evaluation, wish } }: { readonly state: DeployState }): VNode | null {
  const fit = evaluation?.fit;
  if (fit === undefined) return null;
  const room = l10n.t('{0} vCPU and {1} GiB', Number(fit.cpu.toFixed(1)), Number(fit.memoryInGB.toFixed(1)));
  return (
    <span class="muted">
      {fit.isFree
        ? l10n.t('{0} has {1} free: room for up to {2} replicas of this size', wish.target, room, fit.replicas)
        : l10n.t('{0} has {1}: room for up to {2} replicas of this size', wish.target, room, fit.replicas)}
    </span>
  );
}

function actionInWords({ action, form, name, versionName, target }: DeploymentPlan): string {
  switch (action) {
    case 'create':
      return l10n.t('create the {0} {1} on {2}', form, name, target);
    case 'replace':
      return l10n.t('replace what {0} runs on {1}; it serves until the new replicas do', name, target);
    case 'add':
      return l10n.t(
        'add the version {0} to {1} on {2}; it gets traffic once you give it some',
        versionName,
        name,
        target,
      );
  }
}

function scaleInWords(scale: Scale): string {
  return scale.kind === 'fixed'
    ? l10n.t('{0}, fixed.', scale.replicas)
    : l10n.t('{0} to {1}, at {2} % utilization.', scale.minReplicas, scale.maxReplicas, scale.targetUtilization);
}

/** The engine names the option of its command line. */
function inWordsOfTheForm(problem: Problem): Problem {
  return problem.code === 'service.exists'
    ? { ...problem, remedy: l10n.t('Choose another name, or check "Replace what … runs now".') }
    : problem;
}
