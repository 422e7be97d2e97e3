import { resolve } from 'node:path';
import type { ClusterPurpose, FrontEndService } from '../contract/compute-record.ts';
import type { AttachPlanView } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { DetachPlan } from '../session/detach.ts';
import { showComputeTarget } from './computetarget-actions.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import { printable } from './printable.ts';
import { NOTHING, type Result } from './result.ts';

export interface FrontEndOptions {
  readonly serviceType: FrontEndService['type'] | undefined;
  readonly loadBalancerType: 'PublicIp' | 'InternalLoadBalancer' | undefined;
  readonly loadBalancerSubnet: string | undefined;
  readonly routers: number | undefined;
}

export interface AttachCommandOptions extends FrontEndOptions {
  readonly name: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly namespace: readonly string[] | undefined;
  readonly clusterPurpose: ClusterPurpose | undefined;
  readonly registry: string | undefined;
  readonly controllerImage: string | undefined;
  readonly controllerBase: string | undefined;
  readonly frontEndImage: string | undefined;
  readonly yes: boolean | undefined;
}

export async function attachKubernetes(context: CommandContext, options: AttachCommandOptions): Promise<Result> {
  const { cwd } = context.host;
  const { name, kubeconfig, registry, controllerImage, controllerBase } = options;
  const request = {
    name,
    cwd,
    ...defined({
      kubeconfig: kubeconfig === undefined ? undefined : resolve(cwd, kubeconfig),
      context: options.context,
      namespaces: options.namespace?.flatMap((names) => names.split(',')),
      purpose: options.clusterPurpose,
      registry,
      controllerImage,
      controllerBase,
      frontEndImage: options.frontEndImage,
      ...frontEndOptions(options),
    }),
  };
  const session = await context.session();
  try {
    await session.attach(request, { ...context.run, confirm: (plan) => confirmAttach(context, plan, options.yes) });
  } catch (error) {
    throw AksmlError.isCancelled(error) ? interrupted(name) : error;
  }
  return showComputeTarget(context, name);
}

export function frontEndOptions({ serviceType, loadBalancerType, loadBalancerSubnet, routers }: FrontEndOptions) {
  return { serviceType, loadBalancerType, loadBalancerSubnet, routers };
}

async function confirmAttach(context: CommandContext, plan: AttachPlanView, yes: boolean | undefined): Promise<void> {
  const { unicode } = context.host.terminal;
  if (plan.action === 'connect') {
    context.say(`${plan.target} is attached already, and works: this machine is connected to it.`);
    return;
  }
  const lines = [
    `In the cluster ${plan.server} (Kubernetes ${plan.kubernetesVersion}) it installs:`,
    ...plan.objects.map((object) => `  ${object}`),
    `It runs the image ${plan.image}.`,
    ...(plan.frontEnd === undefined ? [] : [`Requests reach ${plan.frontEnd}.`]),
    `Services go into ${plan.namespaces.length === 1 ? 'the namespace' : 'the namespaces'} ${plan.namespaces.join(', ')}; their images come from ${plan.registry}.`,
  ];
  for (const line of lines) context.say(printable(line, unicode));
  await context.confirm('Install this?', yes);
}

function interrupted(name: string): AksmlError {
  return new AksmlError('cancelled', `Attaching ${name} was cancelled.`, {
    fault: 'cancelled',
    remedy: `The same command finishes it; "aksml computetarget detach -n ${name}" takes back what was installed.`,
  });
}

export interface DetachCommandOptions {
  readonly name: string;
  readonly deleteEndpoints: boolean | undefined;
  readonly force: boolean | undefined;
  readonly yes: boolean | undefined;
}

export async function detach(context: CommandContext, options: DetachCommandOptions): Promise<Result> {
  const { name, deleteEndpoints = false, force = false, yes } = options;
  const session = await context.session();
  let endpoints = '';
  const { left } = await session.detach(
    { name, deleteEndpoints, force },
    {
      ...context.run,
      confirm: (plan) => {
        endpoints = fateOf(plan);
        return context.confirm(`${questionOf(plan)} Go on?`, yes);
      },
    },
  );
  context.say(`${name} is detached.${deleteEndpoints ? '' : endpoints}`);
  if (left.length > 0) {
    context.say(`The namespace aksml-system stays, because there is more in it: ${left.join(', ')}.`);
  }
  return NOTHING;
}

function questionOf(plan: DetachPlan): string {
  const { target, server, unreachable } = plan;
  return unreachable === undefined
    ? `aksml is removed from ${server}.${fateOf(plan)}`
    : `The cluster of ${target} cannot be reached, so what is installed there stays. It is forgotten all the same.`;
}

/** Of the endpoints, as a sentence that follows another one; empty without any. */
function fateOf({ endpoints, deleteEndpoints }: DetachPlan): string {
  if (endpoints.length === 0) return '';
  const names = endpoints.slice(0, 10).join(', ') + (endpoints.length > 10 ? ` and ${endpoints.length - 10} more` : '');
  return deleteEndpoints
    ? ` These are deleted: ${names}.`
    : ` These keep running, but nothing looks after them any more: ${names}.`;
}
