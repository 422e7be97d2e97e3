import { startGateway } from '../local/gateway-process.ts';
import { dataPlaneConformance } from './data-plane.ts';

dataPlaneConformance('the local gateway', async () => {
  const gateway = await startGateway();
  return {
    configure: (endpoints) => gateway.configure({ port: 0, endpoints }),
    url: (endpoint) => `http://127.0.0.1:${gateway.port}/api/v1/service/${endpoint}`,
    drained: (ids) => gateway.drained(ids),
    close: () => gateway.remove(),
  };
});
