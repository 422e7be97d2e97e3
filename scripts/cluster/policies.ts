import { NETWORK, NODE_NAME } from './addresses.ts';
import { kubeconfig } from './certificates.ts';
import { run, succeeds } from './command.ts';
import { flags } from './control-plane.ts';
import type { Daemon } from './daemon.ts';
import type { Place } from './place.ts';

/** Enforces NetworkPolicies, which the bridge does not, and nothing else of what it could. */
export function kubeRouter(place: Place, program: string): Daemon {
  return {
    name: 'kube-router',
    command: program,
    args: flags({
      kubeconfig: kubeconfig(place, 'admin'),
      'hostname-override': NODE_NAME,
      'run-firewall': true,
      'run-router': false,
      'run-service-proxy': false,
      'service-cluster-ip-range': NETWORK.services,
      'health-port': 0,
    }),
  };
}

/** Chains of kube-router, and the one that kube-proxy's own clean-up forgets. */
const CHAINS = /KUBE-(ROUTER|NWPLCY|POD-FW|FIREWALL)/;
const SETS = /^KUBE-(SRC|DST)-/;

/** Removes what the enforcement of policies has left in the kernel. */
export async function removePolicyRules(): Promise<void> {
  const rules = await run('iptables-save', ['-t', 'filter']);
  const others = rules.split('\n').filter((line) => !CHAINS.test(line));
  if (others.length < rules.split('\n').length)
    await run('iptables-restore', ['-w', '-T', 'filter'], { input: `${others.join('\n')}\n` });
  const sets = (await run('ipset', ['list', '-n'])).split('\n').filter((name) => SETS.test(name));
  for (const name of sets) await succeeds('ipset', ['destroy', name]);
}
