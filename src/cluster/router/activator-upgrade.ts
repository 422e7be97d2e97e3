import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { headerLines } from '../../serving/headers.ts';
import { noReadyReplicas, REPLICA_CLOSED, refuseUpgrade } from '../../serving/refusal.ts';
import type { ColdQueue } from './cold-queue.ts';
import { NOT_OURS, parseHold, passedHeaders } from './hold.ts';

export interface UpgradeContext {
  /** HAProxy's listener for what has been held: path of a unix socket. */
  readonly self: string;
  readonly cold: ColdQueue;
}

/** A websocket, which has no body and is not copied, waits for a first replica at most. Then it is passed through, both ways. */
export async function passUpgrade(
  request: IncomingMessage,
  client: Duplex,
  head: Buffer,
  { self, cold }: UpgradeContext,
): Promise<void> {
  client.on('error', () => client.destroy());
  const hold = parseHold(request.headers);
  if (!hold) return refuseUpgrade(client, NOT_OURS);
  const arrival = hold.cold ? cold.arrive(hold.endpoint, hold.version) : undefined;
  const gone = new AbortController();
  client.once('close', () => gone.abort());
  const end = arrival ? await arrival.wait(gone.signal) : 'go';
  // It is not answered before it ends: its place among those that were let go is another's at once.
  arrival?.done();
  if (end === 'late') return refuseUpgrade(client, noReadyReplicas(hold.endpoint));
  if (end === 'left' || client.destroyed) return;
  const headers = [...passedHeaders(request, hold, hold.version), 'connection', 'Upgrade', 'upgrade', 'websocket'];
  const target = `${request.method} ${request.url} HTTP/1.1`;
  join(client, self, `${target}\r\n${headerLines(headers)}\r\n`, head);
}

function join(client: Duplex, self: string, requestHead: string, head: Buffer): void {
  const onward = connect(self);
  onward.on('connect', () => {
    onward.write(requestHead, 'latin1');
    onward.write(head);
    client.pipe(onward).pipe(client);
  });
  onward.on('error', () => {
    if (onward.bytesRead === 0) refuseUpgrade(client, REPLICA_CLOSED);
  });
  // HTTP sockets stay half open by default: a websocket that one side has left is over.
  client.on('end', () => onward.destroySoon());
  client.on('finish', () => client.destroy());
  client.on('close', () => onward.destroy());
  onward.on('close', () => client.end());
}
