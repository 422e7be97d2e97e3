import type { KubeNode, Service } from '../kube/resource.ts';
import { HOSTS_ANNOTATION } from './names.ts';

/**
 * Where the front end is reached from outside of the cluster, or at least in it, such as `https://score.example.com`; none while a load balancer
 * is being made. `nodes`: every one of them has a port for a Service of type NodePort.
 */
export function frontEndAddresses(service: Service, nodes: readonly KubeNode[]): readonly string[] {
  const { type, clusterIP, ports = [] } = service.spec ?? {};
  const port = ports.find(({ name }) => name === 'https') ?? ports.find(({ name }) => name === 'http');
  if (port === undefined) return [];
  const urls = (places: readonly string[], at: number) => places.map((place) => urlOf(port.name, place, at));
  const hosts = (service.metadata.annotations?.[HOSTS_ANNOTATION] ?? '').split(',').filter((host) => host !== '');
  switch (type) {
    case 'LoadBalancer': {
      const given = service.status?.loadBalancer?.ingress ?? [];
      const places = given.flatMap(({ hostname, ip }) => hostname ?? ip ?? []);
      return urls(places.length > 0 && hosts.length > 0 ? hosts : places, port.port);
    }
    case 'NodePort':
      return port.nodePort === undefined ? [] : urls(hosts.length > 0 ? hosts : addressOf(nodes), port.nodePort);
    default:
      return clusterIP === undefined ? [] : urls([clusterIP], port.port);
  }
}

/** Of any node, one that others than its neighbours reach, if it has such a one. */
function addressOf([node]: readonly KubeNode[]): string[] {
  const addresses = node?.status?.addresses ?? [];
  const found =
    addresses.find(({ type }) => type === 'ExternalIP') ?? addresses.find(({ type }) => type === 'InternalIP');
  return found === undefined ? [] : [found.address];
}

function urlOf(scheme: string | undefined, host: string, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === (scheme === 'https' ? 443 : 80) ? `${scheme}://${name}` : `${scheme}://${name}:${port}`;
}
