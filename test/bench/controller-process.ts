import { Controller } from '../../src/cluster/controller/controller.ts';
import { startHealthServer } from '../../src/cluster/controller/health-server.ts';
import { ControllerMetrics } from '../../src/cluster/controller/metrics.ts';
import { openKube } from '../../src/kube/kube.ts';

/** A controller in a process of its own: `KUBECONFIG NAMESPACE PORT`. Its log is lines of JSON. */
const [kubeconfig = '', namespace = '', port = ''] = process.argv.slice(2);
const kube = await openKube(
  { paths: [kubeconfig] },
  { variables: {}, consent: async () => false, untrustedFolders: [] },
);
const metrics = new ControllerMetrics();
const controller = new Controller({
  kube,
  namespaces: [namespace],
  identity: `controller-${process.pid}`,
  systemNamespace: namespace,
  metrics,
  log: (entry) => console.log(JSON.stringify({ at: Date.now(), ...entry })),
});
await startHealthServer(Number(port), metrics, () => controller.ready);
await controller.run(new AbortController().signal);
