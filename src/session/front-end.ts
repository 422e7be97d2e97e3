import { ROUTER_CPU } from '../cluster/manifests/router.ts';
import type { ClusterSettings, FrontEndSettings } from '../cluster/manifests.ts';
import { DEFAULT_ROUTER_SETTINGS } from '../cluster/router/router-settings.ts';
import {
  type ComputeTargetRecord,
  type FrontEndRecord,
  type FrontEndService,
  MOST_ROUTERS,
} from '../contract/compute-record.ts';
import { AksmlError } from '../contract/error.ts';
import type { RouterScaleLimits } from '../serving/router-scale.ts';

/** What attaching may be told of the front end. */
export interface FrontEndRequest {
  readonly serviceType?: FrontEndService['type'];
  /** v1's names for a load balancer with a public address, and one of the virtual network. */
  readonly loadBalancerType?: 'PublicIp' | 'InternalLoadBalancer';
  readonly loadBalancerSubnet?: string;
  readonly routers?: number;
  readonly frontEndImage?: string;
}

const DEFAULT_SERVICE: FrontEndService = { type: 'LoadBalancer', internal: false };

/** What is not said anew stays as it was. @throws AksmlError `frontEnd.invalid` */
export function frontEndRecord(request: FrontEndRequest, known: FrontEndRecord | undefined): FrontEndRecord {
  const routers = request.routers ?? known?.routers;
  if (routers !== undefined && (routers < 1 || routers > MOST_ROUTERS)) {
    throw invalid(`There can be 1 to ${MOST_ROUTERS} routers.`, '--routers');
  }
  const image = request.frontEndImage ?? known?.image;
  return {
    service: serviceRecord(request, known?.service ?? DEFAULT_SERVICE),
    ...(routers === undefined ? {} : { routers }),
    ...(image === undefined ? {} : { image }),
    ...(known?.tls === undefined ? {} : { tls: known.tls }),
  };
}

function serviceRecord(request: FrontEndRequest, known: FrontEndService): FrontEndService {
  const { loadBalancerType, loadBalancerSubnet } = request;
  const type = request.serviceType ?? (loadBalancerType === undefined ? known.type : 'LoadBalancer');
  const internal = loadBalancerType === undefined ? known.internal : loadBalancerType === 'InternalLoadBalancer';
  if (type !== 'LoadBalancer') {
    const given = loadBalancerType !== undefined || loadBalancerSubnet !== undefined;
    if (given) throw invalid(`A Service of type ${type} has no load balancer.`, '--load-balancer-type');
    return { type, internal: false };
  }
  if (!internal && loadBalancerSubnet !== undefined) {
    throw invalid('Only an internal load balancer is in a subnet.', '--load-balancer-subnet');
  }
  const subnet = loadBalancerSubnet ?? known.subnet;
  return {
    type,
    internal,
    ...(internal && subnet !== undefined ? { subnet } : {}),
    ...(known.dnsLabel === undefined ? {} : { dnsLabel: known.dnsLabel }),
  };
}

/** What is installed for a target as it is recorded. */
export function frontEndSettings({ purpose, frontEnd }: ComputeTargetRecord): FrontEndSettings {
  const { service = DEFAULT_SERVICE, routers, image, tls } = frontEnd ?? {};
  return {
    service,
    routers: routers ?? (purpose === 'FastProd' ? 3 : 1),
    ...(tls === undefined ? {} : { https: { hosts: tls.hosts } }),
    ...(tls?.acme === undefined ? {} : { acme: { hosts: tls.hosts, ...tls.acme } }),
    routing: {
      ...DEFAULT_ROUTER_SETTINGS,
      allowInsecureConnections: tls?.allowInsecureConnections ?? DEFAULT_ROUTER_SETTINGS.allowInsecureConnections,
    },
    ...(image === undefined ? {} : { image }),
    ...(purpose === 'FastProd' ? { scaling: scalingFor(routers ?? 3) } : {}),
  };
}

function scalingFor(routers: number): RouterScaleLimits {
  const maxRouters = Math.min(MOST_ROUTERS, routers * 4);
  return { minRouters: routers, maxRouters, minCpu: ROUTER_CPU.least, maxCpu: ROUTER_CPU.most };
}

/** All that is installed in the cluster of a target, without the image. */
export function clusterSettings(record: ComputeTargetRecord, version: string): Omit<ClusterSettings, 'image'> {
  return {
    version,
    namespaces: [record.namespace, ...(record.otherNamespaces ?? [])],
    controllers: record.purpose === 'FastProd' ? 2 : 1,
    frontEnd: frontEndSettings(record),
  };
}

/** For the person who decides. */
export function frontEndView({ routers, service: { type, internal, subnet } }: FrontEndSettings): string {
  const what =
    type !== 'LoadBalancer'
      ? `a Service of type ${type}`
      : internal
        ? 'an internal load balancer'
        : 'a load balancer with a public address';
  const where = subnet === undefined ? what : `${what} in the subnet ${subnet}`;
  return `${routers === 1 ? '1 router' : `${routers} routers`} behind ${where}`;
}

function invalid(message: string, subject: string): AksmlError {
  return new AksmlError('frontEnd.invalid', message, {
    fault: 'input',
    subject,
    remedy: 'See "aksml computetarget attach kubernetes --help".',
  });
}
