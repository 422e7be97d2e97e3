import * as vscode from 'vscode';
import type { Question } from '../contract/engine-api.ts';

const t = vscode.l10n.t;

/** Asks the person what the engine cannot decide. */
export async function ask(question: Question): Promise<boolean> {
  const { message, detail, yes } = wording(question);
  return (await vscode.window.showWarningMessage(message, { modal: true, detail }, yes)) === yes;
}

interface Wording {
  readonly message: string;
  readonly detail: string;
  readonly yes: string;
}

function wording(question: Question): Wording {
  switch (question.kind) {
    case 'attach':
      return attachWording(question.plan);
    case 'detach':
      return detachWording(question.plan);
    case 'exec':
      return {
        message: t('Your kubeconfig wants to run a program to log in. May it?'),
        detail: [
          [question.command, ...question.args].join(' '),
          ...(question.variables.length === 0 ? [] : [t('It is given: {0}', question.variables.join(', '))]),
          t('It is asked once for each program.'),
        ].join('\n\n'),
        yes: t('Allow'),
      };
    default:
      return question satisfies never;
  }
}

function attachWording(plan: Extract<Question, { kind: 'attach' }>['plan']): Wording {
  return {
    message: t('Install AKS ML in the cluster {0} (Kubernetes {1})?', plan.server, plan.kubernetesVersion),
    detail: [
      t('Image: {0}', plan.image),
      ...(plan.frontEnd === undefined ? [] : [t('Requests reach the cluster by {0}.', plan.frontEnd)]),
      t('Endpoints go into {0}; their images come from {1}.', plan.namespaces.join(', '), plan.registry),
      ...plan.problems.map(({ message, remedy }) => [message, remedy].filter(Boolean).join(' ')),
      [t('It installs:'), ...plan.objects].join('\n'),
    ].join('\n\n'),
    yes: t('Install'),
  };
}

function detachWording(plan: Extract<Question, { kind: 'detach' }>['plan']): Wording {
  const { target, server, endpoints, deleteEndpoints, unreachable } = plan;
  const names = endpoints.slice(0, 20).join(', ');
  const detail =
    unreachable !== undefined
      ? t('The cluster cannot be reached, so that what is installed there stays: {0}', unreachable)
      : endpoints.length === 0
        ? t('AKS ML is removed from {0}.', server)
        : deleteEndpoints
          ? t('AKS ML is removed from {0}, and with it {1}.', server, names)
          : t(
              'AKS ML is removed from {0}. These keep running, but nothing looks after them any more: {1}',
              server,
              names,
            );
  return { message: t('Detach the cluster {0}?', target), detail, yes: t('Detach') };
}
