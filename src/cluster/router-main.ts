import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { AksmlError } from '../contract/error.ts';
import { inClusterContext, openKube } from '../kube/kube.ts';
import { type AgentLogEntry, RouterAgent } from './router/agent.ts';
import { connectionsHere, spoolRoom } from './router/router-limits.ts';

/** HAProxy tells what came of each request on this UDP port, of the pod's own loopback. */
const LOG_PORT = 9092;

/** The program of a router: a pod of `manifests/router.ts` starts it. */
async function main(): Promise<void> {
  const { env } = process;
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  let failed = false;
  // HAProxy serves on without orders: it is given the time to answer what it has, and the pod another start.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      failed = true;
      log({ level: 'error', message: `leaves, because of an error of its own: ${described(error)}` });
      stop.abort();
    });
  }
  const kube = await openKube(inClusterContext(env, undefined), {
    variables: env,
    consent: async () => false,
    untrustedFolders: [],
  });
  const spool = required('AKSML_SPOOL_FOLDER');
  await mkdir(spool, { recursive: true, mode: 0o700 });
  const agent = new RouterAgent({
    kube,
    namespaces: (env['AKSML_NAMESPACES'] ?? '').split(',').filter((name) => name !== ''),
    name: required('POD_NAME'),
    podAddress: required('POD_IP'),
    haproxy: required('AKSML_HAPROXY'),
    folder: required('AKSML_RUN_FOLDER'),
    spool,
    mostSpooled: Math.min(Number(required('AKSML_SPOOL_BYTES')), await spoolRoom(spool)),
    logPort: LOG_PORT,
    threads: Number(env['AKSML_THREADS'] ?? availableParallelism()),
    maxConnections: await connectionsHere(),
    leavingMs: Number(env['AKSML_LEAVING_SECONDS'] ?? 15) * 1000,
    log,
  });
  await agent.run(stop.signal);
  await kube.close();
  process.exit(failed ? 1 : 0);
}

/** @throws AksmlError `router.environment` */
function required(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new AksmlError('router.environment', `The environment variable ${name} is missing.`, { subject: name });
}

function log(entry: AgentLogEntry): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
}

function described(error: unknown): string {
  if (AksmlError.is(error)) return error.message;
  return String(error instanceof Error ? error.stack : error);
}

main().catch((error: unknown) => {
  log({ level: 'error', message: described(error) });
  process.exit(1);
});
