import { readFile, writeFile } from 'node:fs/promises';
import { writeFileAtomic } from '../../src/home/atomic-file.ts';
import { NETWORK } from './addresses.ts';
import { run, succeeds } from './command.ts';
import type { Place } from './place.ts';

const SETTINGS = {
  '/proc/sys/net/ipv4/ip_forward': '1',
  // Services are reached from pods of the same node only if the bridge passes packets through iptables.
  '/proc/sys/net/bridge/bridge-nf-call-iptables': '1',
} as const;

const COMMENT = ['-m', 'comment', '--comment', 'aksml test cluster'];
/** Table, chain and rule. One masquerading rule for all pods, where the CNI plugin would make, and leave behind, a chain per pod. */
const RULES: readonly (readonly [string, string, readonly string[]])[] = [
  ['nat', 'POSTROUTING', ['-s', NETWORK.pods, '!', '-d', NETWORK.pods, '-j', 'MASQUERADE', ...COMMENT]],
  ['filter', 'FORWARD', ['-i', NETWORK.bridge, '-j', 'ACCEPT', ...COMMENT]],
  ['filter', 'FORWARD', ['-o', NETWORK.bridge, '-j', 'ACCEPT', ...COMMENT]],
];

/** The bridge, with the node's address, is there before the kubelet is; what the kernel was set to before is recorded. */
export async function setUpNetwork(place: Place): Promise<void> {
  const owner = await bridgeOwner();
  if (owner !== undefined && owner !== place.root)
    throw new Error(`another cluster of aksml, in ${owner}, has the network of this machine: end that one first`);
  await changeSettings(place);
  if (!(await succeeds('ip', ['link', 'show', NETWORK.bridge])))
    await run('ip', ['link', 'add', NETWORK.bridge, 'type', 'bridge']);
  await run('ip', ['link', 'set', NETWORK.bridge, 'alias', place.root, 'address', NETWORK.bridgeAddress]);
  await run('ip', ['address', 'replace', `${NETWORK.node}/${NETWORK.prefixLength}`, 'dev', NETWORK.bridge]);
  await run('ip', ['link', 'set', NETWORK.bridge, 'up']);
  for (const [table, chain, rule] of RULES) {
    if (await succeeds('iptables', ['-w', '-t', table, '-C', chain, ...rule])) continue;
    await run('iptables', ['-w', '-t', table, '-A', chain, ...rule]);
  }
}

export async function tearDownNetwork(place: Place): Promise<void> {
  const owner = await bridgeOwner();
  if (owner !== undefined && owner !== place.root) return;
  for (const [table, chain, rule] of RULES) await succeeds('iptables', ['-w', '-t', table, '-D', chain, ...rule]);
  await succeeds('ip', ['link', 'delete', NETWORK.bridge]);
  const before = await readFile(settingsFile(place), 'utf8').catch(() => '{}');
  for (const [file, value] of Object.entries<string>(JSON.parse(before))) await writeFile(file, value);
}

/** The state folder of the cluster that made the bridge; undefined where there is none. */
async function bridgeOwner(): Promise<string | undefined> {
  const links: readonly { ifname: string; ifalias?: string }[] = JSON.parse(await run('ip', ['-json', 'link', 'show']));
  const bridge = links.find((link) => link.ifname === NETWORK.bridge);
  return bridge?.ifalias;
}

async function changeSettings(place: Place): Promise<void> {
  const before: Record<string, string> = JSON.parse(await readFile(settingsFile(place), 'utf8').catch(() => '{}'));
  for (const [file, wanted] of Object.entries(SETTINGS)) {
    const value = await readFile(file, 'utf8').catch(() => undefined);
    if (value === undefined || value.trim() === wanted) continue;
    if (before[file] === undefined) {
      before[file] = value.trim();
      await writeFileAtomic(settingsFile(place), JSON.stringify(before));
    }
    await writeFile(file, wanted);
  }
}

function settingsFile(place: Place): string {
  return place.path('kernel-settings.json');
}

/** The CNI configuration that containerd reads. */
export async function writeCniConfiguration(folder: string): Promise<void> {
  const bridge = {
    type: 'bridge',
    bridge: NETWORK.bridge,
    isGateway: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: NETWORK.pods }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: `${folder}/addresses`,
    },
  };
  const list = { cniVersion: '0.4.0', name: 'aksml', plugins: [bridge] };
  await writeFileAtomic(`${folder}/10-aksml.conflist`, JSON.stringify(list, undefined, 2));
}
