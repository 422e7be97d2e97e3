/**
 * A thread that computes the SHA-256 of a file while another thread appends to it. `workerData` is the file's path; each message says how
 * far the file may be read, the last one that this is all. Answers with the digest in hex.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** What the thread is told. */
export interface HashProgress {
  /** Bytes that are in the file by now. */
  readonly written: number;
  readonly complete: boolean;
}

const CHUNK = 1 << 20;

const port = parentPort;
const file = openSync(String(workerData), 'r');
const hash = createHash('sha256');
const buffer = Buffer.allocUnsafeSlow(CHUNK);
let hashed = 0;

port?.on('message', ({ written, complete }: HashProgress) => {
  while (hashed < written) {
    const count = readSync(file, buffer, 0, Math.min(CHUNK, written - hashed), hashed);
    if (count === 0) throw new Error(`${workerData} was cut short while it was written`);
    hash.update(buffer.subarray(0, count));
    hashed += count;
  }
  if (!complete) return;
  closeSync(file);
  port.postMessage(hash.digest('hex'));
  port.close();
});
