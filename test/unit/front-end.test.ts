import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frontEndAddresses } from '../../src/cluster/front-end-address.ts';
import { connectionsWithin } from '../../src/cluster/router/router-limits.ts';
import type { FrontEndService } from '../../src/contract/compute-record.ts';
import { AksmlError } from '../../src/contract/error.ts';
import type { KubeNode, Service } from '../../src/kube/resource.ts';
import { type FrontEndRequest, frontEndRecord } from '../../src/session/front-end.ts';

const PUBLIC: FrontEndService = { type: 'LoadBalancer', internal: false };
const INTERNAL: FrontEndService = { type: 'LoadBalancer', internal: true, subnet: 'lb' };
const LABELLED: FrontEndService = { ...PUBLIC, dnsLabel: 'team' };

const wishes: readonly (readonly [
  what: string,
  request: FrontEndRequest,
  known: FrontEndService | undefined,
  expected: FrontEndService | 'refused',
])[] = [
  ['nothing is said of a new one', {}, undefined, PUBLIC],
  ['nothing is said of a known one', {}, INTERNAL, INTERNAL],
  ['an internal one', { loadBalancerType: 'InternalLoadBalancer', loadBalancerSubnet: 'lb' }, undefined, INTERNAL],
  ['another subnet', { loadBalancerSubnet: 'other' }, INTERNAL, { ...INTERNAL, subnet: 'other' }],
  ['a public one again', { loadBalancerType: 'PublicIp' }, INTERNAL, PUBLIC],
  ['the label stays', {}, LABELLED, LABELLED],
  ['a port of every node', { serviceType: 'NodePort' }, LABELLED, { type: 'NodePort', internal: false }],
  ['a load balancer again', { loadBalancerType: 'PublicIp' }, { type: 'NodePort', internal: false }, PUBLIC],
  ['a subnet without an internal one', { loadBalancerSubnet: 'lb' }, undefined, 'refused'],
  ['a load balancer of a port', { serviceType: 'NodePort', loadBalancerType: 'PublicIp' }, undefined, 'refused'],
  ['no routers', { routers: 0 }, undefined, 'refused'],
];

for (const [what, request, known, expected] of wishes) {
  test(`how the front end is to be reached: ${what}`, () => {
    const record = () => frontEndRecord(request, known && { service: known }).service;
    if (expected === 'refused') assert.throws(record, (error: unknown) => AksmlError.is(error, 'frontEnd.invalid'));
    else assert.deepEqual(record(), expected);
  });
}

const HTTP = { name: 'http', port: 80, nodePort: 30080 };
const HTTPS = { name: 'https', port: 443, nodePort: 30443 };
const NODES: readonly KubeNode[] = [
  { metadata: { name: 'a' }, status: { addresses: [{ type: 'InternalIP', address: 'fd00::1' }] } },
];

const places: readonly (readonly [
  what: string,
  spec: Service['spec'],
  rest: Partial<Service>,
  hosts: string,
  string[],
])[] = [
  ['a load balancer that is being made', { type: 'LoadBalancer', ports: [HTTP] }, {}, '', []],
  [
    'a load balancer',
    { type: 'LoadBalancer', ports: [HTTP] },
    { status: { loadBalancer: { ingress: [{ ip: '20.1.2.3' }] } } },
    '',
    ['http://20.1.2.3'],
  ],
  [
    'a load balancer with certificates',
    { type: 'LoadBalancer', ports: [HTTP, HTTPS] },
    { status: { loadBalancer: { ingress: [{ ip: '20.1.2.3' }] } } },
    'a.example.com,b.example.com',
    ['https://a.example.com', 'https://b.example.com'],
  ],
  ['a port of every node', { type: 'NodePort', ports: [HTTP] }, {}, '', ['http://[fd00::1]:30080']],
  ['the cluster alone', { type: 'ClusterIP', clusterIP: '10.0.0.7', ports: [HTTP] }, {}, '', ['http://10.0.0.7']],
];

for (const [what, spec, rest, hosts, expected] of places) {
  test(`where the front end is reached: ${what}`, () => {
    const metadata = { name: 'aksml-fe', ...(hosts === '' ? {} : { annotations: { 'aksml.dev/hosts': hosts } }) };
    assert.deepEqual(
      frontEndAddresses({ metadata, ...(spec === undefined ? {} : { spec }), ...rest }, NODES),
      expected,
    );
  });
}

test('HAProxy promises only the connections that it has descriptors for, its pipes included', () => {
  const limits = (files: string) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   ${files}   files\n`;
  assert.equal(connectionsWithin(limits('20000')), 7800);
  assert.equal(connectionsWithin(limits('unlimited')), 20_000);
  assert.equal(connectionsWithin(''), 100);
});
