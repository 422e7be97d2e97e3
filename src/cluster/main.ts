import { readFileSync } from 'node:fs';
import { AksmlError } from '../contract/error.ts';
import { inClusterContext, openKube } from '../kube/kube.ts';
import { Controller, type LogEntry } from './controller/controller.ts';
import { startHealthServer } from './controller/health-server.ts';
import { ControllerMetrics } from './controller/metrics.ts';

/** The program that runs in a cluster: a pod of `manifests.ts` starts it. */
async function main(): Promise<void> {
  const { env } = process;
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
  const kube = await openKube(inClusterContext(env, namespaceOfPod()), {
    variables: env,
    consent: async () => false,
    untrustedFolders: [],
  });
  const metrics = new ControllerMetrics();
  const namespaces = (env['AKSML_NAMESPACES'] ?? '').split(',').filter((name) => name !== '');
  const identity = `${env['POD_NAME'] ?? 'controller'}_${env['POD_UID'] ?? process.pid}`;
  const controller = new Controller({ kube, namespaces, identity, log, metrics });
  const server = await startHealthServer(Number(env['AKSML_LISTEN_PORT'] ?? 8080), metrics, () => controller.ready);
  log({ level: 'info', message: `serves the namespaces ${namespaces.join(', ')}` });
  await controller.run(stop.signal);
  server.close();
  await kube.close();
}

function namespaceOfPod(): string | undefined {
  try {
    return readFileSync('/var/run/secrets/kubernetes.io/serviceaccount/namespace', 'utf8').trim();
  } catch {
    return undefined;
  }
}

function log(entry: LogEntry): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`);
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    log({
      level: 'error',
      message: AksmlError.is(error) ? error.message : String(error instanceof Error ? error.stack : error),
    });
    process.exit(1);
  },
);
