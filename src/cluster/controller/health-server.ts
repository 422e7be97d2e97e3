import { createServer, type Server } from 'node:http';
import type { ControllerMetrics } from './metrics.ts';

/** `/healthz`: this process answers. `/readyz`: it knows what is there. `/metrics`: for Prometheus. */
export function startHealthServer(port: number, metrics: ControllerMetrics, ready: () => boolean): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, contentType = 'text/plain') => {
      response.writeHead(status, { 'content-type': contentType });
      response.end(text);
    };
    switch (new URL(request.url ?? '/', 'http://localhost').pathname) {
      case '/healthz':
        return answer(200, 'ok');
      case '/readyz':
        return ready() ? answer(200, 'ok') : answer(503, 'the state of the cluster is not known yet; see the log');
      case '/metrics':
        metrics.text().then(
          (text) => answer(200, text, metrics.contentType),
          () => answer(500, 'no metrics'),
        );
        return;
      default:
        return answer(404, 'not found');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve(server));
  });
}
