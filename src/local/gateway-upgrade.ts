import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Refusal as AdmissionRefusal, Slot, Ticket } from '../serving/admission.ts';
import { headerLines, headersForReplica, requestIds, single, VERSION_HEADER } from '../serving/headers.ts';
import {
  noReadyReplicas,
  overloaded,
  REPLICA_CLOSED,
  refuseUpgrade,
  unknownPath,
  unknownVersion,
} from '../serving/refusal.ts';
import { admit, type RequestContext } from './gateway-request.ts';
import { replicaPath } from './gateway-routes.ts';

/** Passes a websocket through. It holds a slot of its replica as long as it is open. */
export async function handleUpgrade(
  context: RequestContext,
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  ownEndpoint: string | undefined,
): Promise<void> {
  client.on('error', () => client.destroy());
  const admittance = await admit(context, request, ownEndpoint);
  if (admittance.kind === 'refused') return refuseUpgrade(client, admittance.refusal);

  const { endpoint, route } = admittance;
  const asked = single(request.headers[VERSION_HEADER]);
  const version = endpoint.choose(asked, context.random);
  if (!version)
    return refuseUpgrade(client, asked === undefined ? noReadyReplicas(endpoint.name) : unknownVersion(endpoint.name));
  const path = replicaPath(version.configuration, route);
  if (path === undefined) return refuseUpgrade(client, unknownPath(endpoint.name));

  let ticket: Ticket | undefined;
  const leave = () => ticket && version.leave(ticket);
  client.once('close', leave);
  version.requests += 1;
  ticket = version.enter({
    admitted: (slot: Slot) => {
      client.off('close', leave);
      const replica = version.replica(slot.replica);
      if (!replica || client.destroyed) return slot.release(performance.now());
      join(client, connect({ host: '127.0.0.1', port: replica.port }), slot, upgradeHead(request, path), head);
    },
    refused: (reason: AdmissionRefusal) =>
      refuseUpgrade(client, reason === 'overloaded' ? overloaded(endpoint.name) : noReadyReplicas(endpoint.name)),
  });
}

function join(client: Duplex, replica: Socket, slot: Slot, requestHead: string, head: Buffer): void {
  replica.on('connect', () => {
    replica.write(requestHead, 'latin1');
    replica.write(head);
    client.pipe(replica).pipe(client);
  });
  replica.on('error', () => {
    if (replica.bytesRead === 0) refuseUpgrade(client, REPLICA_CLOSED);
  });
  // HTTP sockets stay half open by default: a websocket that one side has left is over.
  client.on('end', () => replica.destroySoon());
  client.on('finish', () => client.destroy());
  client.on('close', () => replica.destroy());
  replica.on('close', () => {
    slot.release(performance.now());
    client.end();
  });
}

function upgradeHead(request: IncomingMessage, path: string): string {
  const headers = headersForReplica(request, requestIds(request.headers));
  headers.push('connection', 'Upgrade', 'upgrade', 'websocket');
  return `GET ${path} HTTP/1.1\r\n${headerLines(headers)}\r\n`;
}
