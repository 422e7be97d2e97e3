import { followsRule, SERVICE_NAME } from '../contract/names.ts';
import type { GatewayVersion } from './gateway-protocol.ts';

/** Where a request wants to go. */
export interface Route {
  /** As in the URL; absent for a URL that names none. */
  readonly endpoint: string | undefined;
  /** Below the endpoint, starting with `/`. */
  readonly path: string;
  /** With its `?`, or empty. */
  readonly query: string;
}

const SHARED = /^\/api\/v1\/(?:service|endpoint)\/([^/?]+)([^?]*)(\?.*)?$/s;
const ABSOLUTE = /^https?:\/\/[^/?]*/i;

/** v1's `/api/v1/service/NAME/…` and v2's `/api/v1/endpoint/NAME/…`; on a port of its own an endpoint has the root. */
export function parseRoute(url: string, ownEndpoint: string | undefined): Route {
  const target = url.replace(ABSOLUTE, '') || '/';
  if (ownEndpoint !== undefined) {
    const mark = target.indexOf('?');
    const [path, query] = mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark)];
    return { endpoint: ownEndpoint, path: path.startsWith('/') ? path : `/${path}`, query };
  }
  const match = SHARED.exec(target);
  return { endpoint: match?.[1], path: match?.[2] || '/', query: match?.[3] ?? '' };
}

/** What to ask the replica for; undefined when the version has no such thing. */
export function replicaPath(version: GatewayVersion, route: Route): string | undefined {
  if (route.path === '/score') return join(version.scoringRoute, route.query);
  if (route.path === '/swagger.json') {
    return version.swaggerRoute === undefined ? undefined : join(version.swaggerRoute, route.query);
  }
  return route.path + route.query;
}

/** A scoring route of the user's own may carry a query already. */
function join(path: string, query: string): string {
  return path.includes('?') && query !== '' ? `${path}&${query.slice(1)}` : path + query;
}

/** The name for a message, or a stand-in when it is none that an endpoint could have. */
export function printableName(name: string): string {
  return followsRule(SERVICE_NAME, name) ? name : '(not a service name)';
}
