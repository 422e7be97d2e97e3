import * as vscode from 'vscode';
import { type FrontEndRecord, isRouterCount, MOST_ROUTERS } from '../../contract/compute-record.ts';
import type { FrontEndWish } from '../../contract/engine-api/resource-api.ts';
import type { AksmlWindow, CommandTarget } from '../aksml-window.ts';
import { runOperation } from '../operation.ts';
import { type Cluster, clusterOf } from './cluster.ts';
import { confirm, given } from './pick.ts';

const t = vscode.l10n.t;

type Way = 'public' | 'internal' | 'nodePort' | 'clusterIp' | 'routers';

/** How callers reach what is deployed to a cluster, and how many routers take their requests. */
export async function changeFrontEnd(window: AksmlWindow, on: CommandTarget): Promise<void> {
  const cluster = await clusterOf(window, on, t('Front End'));
  const { scope, view } = cluster;
  const title = t('Front end of {0}', scope.target);
  const present = view.listing.kind === 'local' ? undefined : view.listing.record.frontEnd;
  const { way } = given(await vscode.window.showQuickPick(waysFrom(present), { title }));
  const wish = await wishFor(way, title, present);
  if (way !== 'routers' && way !== wayOf(present)) await confirmMove(cluster);
  await runOperation(window, t('Changing the front end of {0}', scope.target), 'target.update', { ...scope, ...wish });
}

function waysFrom(present: FrontEndRecord | undefined): (vscode.QuickPickItem & { readonly way: Way })[] {
  const now = wayOf(present);
  const reaches: readonly { readonly label: string; readonly way: Way }[] = [
    { label: t('A load balancer with a public address'), way: 'public' },
    { label: t('A load balancer inside the virtual network'), way: 'internal' },
    { label: t('A port of every node'), way: 'nodePort' },
    { label: t('From within the cluster alone'), way: 'clusterIp' },
  ];
  return [
    ...reaches.map((item) => (item.way === now ? { ...item, description: t('as it is now') } : item)),
    { label: '', kind: vscode.QuickPickItemKind.Separator, way: 'routers' },
    { label: t('Number of routers…'), description: `${present?.routers ?? ''}`, way: 'routers' },
  ];
}

function wayOf(present: FrontEndRecord | undefined): Way {
  const { type, internal } = present?.service ?? { type: 'LoadBalancer', internal: false };
  if (type === 'LoadBalancer') return internal ? 'internal' : 'public';
  return type === 'NodePort' ? 'nodePort' : 'clusterIp';
}

async function wishFor(way: Way, title: string, present: FrontEndRecord | undefined): Promise<FrontEndWish> {
  switch (way) {
    case 'public':
      return { loadBalancerType: 'PublicIp' };
    case 'internal':
      return { loadBalancerType: 'InternalLoadBalancer', ...(await askSubnet(title, present)) };
    case 'nodePort':
      return { serviceType: 'NodePort' };
    case 'clusterIp':
      return { serviceType: 'ClusterIP' };
    case 'routers':
      return { routers: await askRouters(title, present) };
    default:
      return way satisfies never;
  }
}

async function askSubnet(title: string, present: FrontEndRecord | undefined): Promise<FrontEndWish> {
  const prompt = t('On AKS: the subnet in which the load balancer has its address; empty for that of the nodes');
  const subnet = given(
    await vscode.window.showInputBox({ title, prompt, value: present?.service.subnet ?? '' }),
  ).trim();
  return subnet === '' ? {} : { loadBalancerSubnet: subnet };
}

async function askRouters(title: string, present: FrontEndRecord | undefined): Promise<number> {
  const text = await vscode.window.showInputBox({
    title,
    prompt: t('How many routers take requests at once, 1 to {0}', MOST_ROUTERS),
    value: `${present?.routers ?? ''}`,
    validateInput: (typed) => (isRouterCount(typed) ? undefined : t('Give a number from 1 to {0}.', MOST_ROUTERS)),
  });
  return Number(given(text));
}

async function confirmMove({ scope, view }: Cluster): Promise<void> {
  const { addresses = [] } = view.status?.frontEnd ?? {};
  await confirm(
    t('Change how callers reach {0}?', scope.target),
    addresses.length === 0
      ? t('All endpoints of it get another address.')
      : t('All endpoints of it get another address: nobody answers at {0} any more.', addresses.join(', ')),
    t('Change'),
  );
}
