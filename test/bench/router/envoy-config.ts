export interface Address {
  readonly address: string;
  readonly port: number;
}

/** A plain one: every request goes to the endpoint with the fewest requests, over connections that are kept; nothing is logged. */
export function envoyConfig(listener: Address, endpoints: readonly Address[]): string {
  const at = ({ address, port }: Address) => ({ address: { socket_address: { address, port_value: port } } });
  const extension = (name: string, type: string, more: object = {}) => ({
    name,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.${type}`, ...more },
  });
  const connections = extension(
    'envoy.filters.network.http_connection_manager',
    'network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: 'plain',
      route_config: {
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'replicas' } }] },
        ],
      },
      http_filters: [extension('envoy.filters.http.router', 'http.router.v3.Router')],
    },
  );
  return JSON.stringify({
    static_resources: {
      listeners: [{ name: 'plain', ...at(listener), filter_chains: [{ filters: [connections] }] }],
      clusters: [
        {
          name: 'replicas',
          type: 'STATIC',
          connect_timeout: '1s',
          lb_policy: 'LEAST_REQUEST',
          load_assignment: {
            cluster_name: 'replicas',
            endpoints: [{ lb_endpoints: endpoints.map((each) => ({ endpoint: at(each) })) }],
          },
        },
      ],
    },
  });
}
