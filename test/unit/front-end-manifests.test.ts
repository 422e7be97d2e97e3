import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusterManifests, type FrontEndSettings } from '../../src/cluster/manifests.ts';
import type { KubeObject } from '../../src/kube/object.ts';
import {
  DEPLOYMENTS,
  NETWORK_POLICIES,
  POD_DISRUPTION_BUDGETS,
  type Resource,
  SERVICES,
} from '../../src/kube/resource.ts';
import { frontEndSettings } from './cluster-samples.ts';

/** What would be installed of that kind for the front end. */
function installed<T extends KubeObject>(kind: Resource<T>, settings: Partial<FrontEndSettings> = {}): T | undefined {
  const frontEnd = frontEndSettings(settings);
  const manifests = clusterManifests({ version: '1.2.3', image: 'x', namespaces: ['team'], controllers: 2, frontEnd });
  const found = manifests.find(
    ({ resource, object }) => resource.plural === kind.plural && object.metadata.name === 'aksml-fe',
  );
  return found?.object as T | undefined;
}

const AZURE = 'service.beta.kubernetes.io/azure';
const services: readonly (readonly [what: string, Partial<FrontEndSettings>, expected: object])[] = [
  ['a load balancer', {}, { type: 'LoadBalancer', ports: [80], policy: 'Local', annotations: {} }],
  [
    'a load balancer of the virtual network',
    { service: { type: 'LoadBalancer', internal: true, subnet: 'lb' } },
    {
      type: 'LoadBalancer',
      ports: [80],
      policy: 'Local',
      annotations: {
        [`${AZURE}-load-balancer-internal`]: 'true',
        [`${AZURE}-load-balancer-internal-subnet`]: 'lb',
      },
    },
  ],
  [
    'a public name and a certificate',
    { service: { type: 'LoadBalancer', internal: false, dnsLabel: 'team' }, https: { hosts: ['score.example.com'] } },
    {
      type: 'LoadBalancer',
      ports: [80, 443],
      policy: 'Local',
      annotations: { [`${AZURE}-dns-label-name`]: 'team', 'aksml.dev/hosts': 'score.example.com' },
    },
  ],
  [
    'a port of every node',
    { service: { type: 'NodePort', internal: false } },
    { type: 'NodePort', ports: [80], policy: undefined, annotations: {} },
  ],
  [
    'an address of the cluster',
    { service: { type: 'ClusterIP', internal: false } },
    { type: 'ClusterIP', ports: [80], policy: undefined, annotations: {} },
  ],
];

for (const [what, settings, expected] of services) {
  test(`the front end is reached by ${what}`, () => {
    const { metadata, spec } = installed(SERVICES, settings) ?? assert.fail();
    assert.deepEqual(
      {
        type: spec?.type,
        ports: spec?.ports?.map(({ port }) => port),
        policy: spec?.externalTrafficPolicy,
        annotations: metadata.annotations,
      },
      expected,
    );
  });
}

test('routers leave one at a time, only when another is ready, and with time for what they have begun', () => {
  const { spec } = installed(DEPLOYMENTS) ?? assert.fail();
  assert.equal(spec?.replicas, 3);
  assert.deepEqual(spec?.strategy?.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 });
  const leaving = spec?.template.spec?.containers[0]?.lifecycle?.preStop?.sleep?.seconds ?? 0;
  const grace = spec?.template.spec?.terminationGracePeriodSeconds ?? 0;
  assert.ok(leaving >= 10 && grace - leaving >= 300, `${leaving} s of ${grace} s`);
  assert.equal(installed(POD_DISRUPTION_BUDGETS)?.spec?.maxUnavailable, 1);
  // It would keep the node of the only router from ever being drained.
  assert.equal(installed(POD_DISRUPTION_BUDGETS, { routers: 1 }), undefined);
});

test('an image of the front end of its own takes the place of the common one', () => {
  const imageOf = (settings: Partial<FrontEndSettings>) =>
    installed(DEPLOYMENTS, settings)?.spec?.template.spec?.containers[0]?.image;
  assert.equal(imageOf({}), 'x');
  assert.equal(imageOf({ image: 'y' }), 'y');
});

test('what routers say to each other is for routers and the controller alone', () => {
  const rules = installed(NETWORK_POLICIES)?.spec?.ingress ?? [];
  const ports = (from: boolean) =>
    rules
      .filter((rule) => 'from' in rule === from)
      .flatMap((rule) => rule.ports ?? [])
      .map(({ port }) => port);
  assert.deepEqual(ports(false), [8080, 8443]);
  assert.deepEqual(ports(true), [8081, 9090]);
});
