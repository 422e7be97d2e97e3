import { join } from 'node:path';
import { test } from 'node:test';
import { haproxyProgram } from '../../scripts/haproxy.ts';
import { SOCKETS } from '../../src/cluster/router/haproxy-names.ts';
import type { RoutedEndpoint } from '../../src/cluster/router/routing-table.ts';
import { serveTokens } from '../../src/cluster/router/token-socket.ts';
import { type Authenticator, createAuthenticator } from '../../src/local/gateway-auth.ts';
import type { GatewayEndpoint } from '../../src/local/gateway-protocol.ts';
import { startRouter } from '../router/test-router.ts';
import { dataPlaneConformance } from './data-plane.ts';

const program = await haproxyProgram();
if (typeof program !== 'string') test('the router of a cluster', { skip: program.skip }, () => undefined);
else
  dataPlaneConformance('the router of a cluster', async () => {
    const { router, settings, remove } = await startRouter();
    const tokens = new Map<string, Authenticator>();
    const verifier = await serveTokens(join(settings.folder, SOCKETS.tokens), async (audience, _subject, token) => {
      const good = await tokens.get(audience)?.admits(`Bearer ${token}`, Date.now());
      return good ? JSON.parse(String(Buffer.from(token.split('.')[1] ?? '', 'base64url'))).exp : undefined;
    });
    return {
      configure: async (endpoints) => {
        for (const { auth } of endpoints)
          if (auth.mode === 'token') tokens.set(auth.audience, await createAuthenticator(auth));
        await router.configure({ endpoints: endpoints.map(routed), routers: [] });
      },
      url: (endpoint) => `http://127.0.0.1:${settings.port}/api/v1/service/${endpoint}`,
      drained: (ids) => router.drained(ids),
      close: async () => {
        verifier.close();
        await remove();
      },
    };
  });

/** The suite's replicas do what they are told: as a server of a user's own, they go on after a time-out. */
function routed(endpoint: GatewayEndpoint): RoutedEndpoint {
  const { name, corsAllowedOrigins, maxBodyBytes, versions, auth } = endpoint;
  return {
    name,
    auth: auth.mode === 'token' ? { mode: 'token', audience: auth.audience, subjectUid: 'uid' } : auth,
    corsAllowedOrigins,
    maxBodyBytes,
    sticky: false,
    versions: versions.map((version) => ({
      ...version,
      ownServer: true,
      http2: false,
      coldStartMs: 0,
      replicas: version.replicas.map(({ id, port, state }) => ({ id, address: '127.0.0.1', port, state })),
    })),
  };
}
