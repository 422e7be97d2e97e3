import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentLogEntry, RouterAgent } from '../../src/cluster/router/agent.ts';
import { freePorts } from '../router/test-router.ts';
import type { ControllerWorld } from './controller-world.ts';
import { routerClient } from './router-client.ts';

/** A router of a cluster, outside of it. */
export interface RunningAgent {
  /** Of the endpoint's scoring route. */
  url(endpoint: string): string;
  /** Of the agent itself. */
  readonly own: string;
  readonly ports: Readonly<Record<'http' | 'https' | 'hop' | 'agent', number>>;
  readonly log: AgentLogEntry[];
  /** Asks it to leave; resolves when it has ended. */
  stop(): Promise<void>;
}

/** `program`: the executable of HAProxy. */
export async function startAgent(
  t: { after(work: () => Promise<void>): void },
  { kube, namespace }: ControllerWorld,
  program: string,
  name = 'router',
): Promise<RunningAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'aksml-agent-'));
  const [http = 0, https = 0, hop = 0, own = 0, logPort = 0] = await freePorts(5, '127.0.0.1');
  const ports = { http, https, hop, agent: own };
  const log: AgentLogEntry[] = [];
  const agent = new RouterAgent({
    kube: await routerClient(t, kube, namespace),
    namespaces: [namespace],
    systemNamespace: namespace,
    name,
    podAddress: '127.0.0.1',
    haproxy: program,
    folder,
    spool: join(folder, 'spool'),
    mostSpooled: 2 ** 30,
    address: '127.0.0.1',
    ports,
    logPort,
    threads: 1,
    maxConnections: 1000,
    leavingMs: 0,
    log: (entry) => log.push(entry),
  });
  const stop = new AbortController();
  const ended = agent.run(stop.signal);
  const running: RunningAgent = {
    url: (endpoint) => `http://127.0.0.1:${http}/api/v1/endpoint/${endpoint}/score`,
    own: `http://127.0.0.1:${own}`,
    ports,
    log,
    stop: async () => {
      stop.abort();
      await ended;
    },
  };
  t.after(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return running;
}
