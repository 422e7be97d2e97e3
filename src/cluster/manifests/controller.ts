import {
  DEPLOYMENTS,
  type Deployment,
  POD_DISRUPTION_BUDGETS,
  type PodDisruptionBudget,
  SERVICE_ACCOUNTS,
} from '../../kube/resource.ts';
import type { ClusterSettings } from '../manifests.ts';
import { CONTROLLER_NAME, partLabels, SYSTEM_NAMESPACE } from '../names.ts';
import {
  fromPod,
  type Manifest,
  named,
  pulledWith,
  RESTRICTED_CONTAINER,
  RESTRICTED_POD,
  scraped,
  spreadOverNodes,
  templateMetadata,
} from './manifest.ts';
import { controllerRights } from './rights.ts';

const LABELS = partLabels(CONTROLLER_NAME);
const PORT = 8080;

export function controllerManifests(settings: ClusterSettings): readonly Manifest[] {
  return [
    { resource: SERVICE_ACCOUNTS, object: { metadata: named(CONTROLLER_NAME, SYSTEM_NAMESPACE) } },
    ...controllerRights(settings.namespaces),
    ...(settings.controllers > 1 ? [{ resource: POD_DISRUPTION_BUDGETS, object: disruptionBudget() }] : []),
    { resource: DEPLOYMENTS, object: deployment(settings) },
  ];
}

function disruptionBudget(): PodDisruptionBudget {
  return {
    metadata: named(CONTROLLER_NAME, SYSTEM_NAMESPACE),
    spec: { maxUnavailable: 1, selector: { matchLabels: LABELS } },
  };
}

function deployment({ version, image, imagePullSecret, namespaces, controllers }: ClusterSettings): Deployment {
  const probe = (path: string) => ({ httpGet: { path, port: 'http', scheme: 'HTTP' } });
  const labels = { ...LABELS, 'app.kubernetes.io/version': version };
  return {
    metadata: { ...named(CONTROLLER_NAME, SYSTEM_NAMESPACE), labels },
    spec: {
      replicas: controllers,
      selector: { matchLabels: LABELS },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: templateMetadata(labels, scraped(PORT)),
        spec: {
          serviceAccountName: CONTROLLER_NAME,
          securityContext: RESTRICTED_POD,
          ...pulledWith(imagePullSecret),
          topologySpreadConstraints: spreadOverNodes(LABELS),
          containers: [
            {
              name: 'controller',
              image,
              env: [
                { name: 'AKSML_NAMESPACES', value: namespaces.join(',') },
                { name: 'AKSML_LISTEN_PORT', value: String(PORT) },
                fromPod('POD_NAME', 'metadata.name'),
                fromPod('POD_UID', 'metadata.uid'),
              ],
              ports: [{ name: 'http', containerPort: PORT, protocol: 'TCP' }],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '1Gi' } },
              livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6 },
              readinessProbe: { ...probe('/readyz'), periodSeconds: 2 },
              securityContext: RESTRICTED_CONTAINER,
              terminationMessagePolicy: 'FallbackToLogsOnError',
            },
          ],
        },
      },
    },
  };
}
