import type { CustomResourceDefinition } from '../kube/resource.ts';
import { ENDPOINTS } from '../kube/resource.ts';
import { endpointSchema } from './endpoint-schema.ts';
import { MANAGED_BY } from './names.ts';

export const ENDPOINT_CRD = 'endpoints.aksml.dev';

/** The custom resource, as the API server is told of it. `version` is that of aksml. */
export function endpointDefinition(version: string): CustomResourceDefinition {
  const [group, apiVersion] = ENDPOINTS.apiVersion.split('/');
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: ENDPOINT_CRD, labels: { ...MANAGED_BY, 'app.kubernetes.io/version': version } },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: ENDPOINTS.kind,
        listKind: `${ENDPOINTS.kind}List`,
        plural: ENDPOINTS.plural,
        singular: 'endpoint',
        // `ep` and `endpoints` are Kubernetes' own.
        shortNames: ['aep'],
        categories: ['aksml'],
      },
      versions: [
        {
          name: apiVersion,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: endpointSchema() },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: 'State', type: 'string', jsonPath: '.status.state' },
            { name: 'Versions', type: 'string', jsonPath: '.status.versionNames' },
            {
              name: 'Replicas',
              type: 'string',
              jsonPath: '.status.replicas',
              description: 'Replicas that take requests, of those that shall.',
            },
            { name: 'URI', type: 'string', jsonPath: '.status.scoringUri' },
            { name: 'Cause', type: 'string', jsonPath: '.status.error.code', priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}
