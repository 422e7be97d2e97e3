import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endpointUris, frontEndAddress } from '../../src/cluster/controller/front-end-view.ts';
import { addedUp } from '../../src/cluster/target/routers.ts';
import type { VersionCounters } from '../../src/contract/metrics.ts';
import type { Pod, Secret, Service } from '../../src/kube/resource.ts';
import { clusterEndpoint, clusterVersion } from './cluster-samples.ts';

const CONTAINER = { port: 80, scoringRoute: '/', livenessRoute: '/', readinessRoute: '/' };

test('the scoring URI is the address of the front end in v1’s form for a service and in v2’s for an endpoint', () => {
  const http = [{ name: 'http', port: 80, nodePort: 30080 }];
  const both = [...http, { name: 'https', port: 443, nodePort: 30443 }];
  const cases: readonly {
    readonly what: string;
    readonly spec: Service['spec'];
    readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    readonly hosts?: string;
    readonly service: string | undefined;
    readonly endpoint: string | undefined;
  }[] = [
    {
      what: 'a load balancer',
      spec: { type: 'LoadBalancer', ports: http, clusterIP: '10.0.0.1' },
      ingress: [{ ip: '192.0.2.7' }],
      service: 'http://192.0.2.7:80/api/v1/service/web/score',
      endpoint: 'http://192.0.2.7/api/v1/endpoint/web/score',
    },
    {
      what: 'a load balancer without an address yet',
      spec: { type: 'LoadBalancer', ports: http, clusterIP: '10.0.0.1' },
      service: undefined,
      endpoint: undefined,
    },
    {
      what: 'the host of a certificate',
      spec: { type: 'LoadBalancer', ports: both },
      ingress: [{ ip: '192.0.2.7' }],
      hosts: '*.example.org, scoring.example.org',
      service: 'https://scoring.example.org:443/api/v1/service/web/score',
      endpoint: 'https://scoring.example.org/api/v1/endpoint/web/score',
    },
    {
      what: 'a node',
      spec: { type: 'NodePort', ports: both, clusterIP: '10.0.0.1' },
      service: 'https://203.0.113.5:30443/api/v1/service/web/score',
      endpoint: 'https://203.0.113.5:30443/api/v1/endpoint/web/score',
    },
    {
      what: 'inside the cluster, with IPv6',
      spec: { type: 'ClusterIP', ports: http, clusterIP: 'fd00::1' },
      service: 'http://[fd00::1]:80/api/v1/service/web/score',
      endpoint: 'http://[fd00::1]/api/v1/endpoint/web/score',
    },
  ];
  const router = {
    metadata: { name: 'r' },
    status: { hostIP: '203.0.113.5', conditions: [{ type: 'Ready', status: 'True' }] },
  };
  for (const { what, spec, ingress = [], hosts, ...expected } of cases) {
    const certificate = { metadata: { name: 'c', annotations: { 'aksml.dev/hosts': hosts ?? '' } } };
    const service = {
      metadata: { name: 'aksml-fe' },
      spec,
      status: { loadBalancer: { ingress } },
    } as unknown as Service;
    const address = frontEndAddress(service, [certificate as Secret], [router as unknown as Pod]);
    for (const form of ['service', 'endpoint'] as const) {
      const uris = address === undefined ? {} : endpointUris(clusterEndpoint({ form }), address);
      assert.equal(uris.scoringUri, expected[form], what);
      assert.equal(uris.swaggerUri, expected[form]?.replace(/score$/, 'swagger.json'), what);
    }
  }
  const custom = clusterEndpoint({ versions: [clusterVersion({ container: CONTAINER })] });
  assert.equal(endpointUris(custom, { scheme: 'http', host: 'h', port: 80 }).swaggerUri, undefined);
});

test('figures of several routers are one version’s figures', () => {
  const of = (ok: number, rest: Partial<VersionCounters> = {}): VersionCounters => ({
    version: 'main',
    requests: { ok },
    duration: { buckets: [[0.1, ok]], count: ok },
    busy: 0,
    queued: 0,
    readyReplicas: 2,
    utilization: 0,
    ...rest,
  });
  assert.deepEqual(addedUp([[of(3, { busy: 1, utilization: 0.5 })], [], [of(4, { requests: { ok: 4, failed: 1 } })]]), [
    of(7, { requests: { ok: 7, failed: 1 }, busy: 1, utilization: 0.5 }),
  ]);
});
