import { readFile } from 'node:fs/promises';
import { request } from 'node:http';

/** How much the container of a router has to do. */
export interface Saturation {
  /** vCPU seconds that it has used since it began. */
  readonly cpuSeconds: number;
  /** What HAProxy adds to a request, milliseconds: of late, smoothed. */
  readonly routingMs: number;
}

const CGROUPS = ['/sys/fs/cgroup/cpu.stat', '/sys/fs/cgroup/cpuacct/cpuacct.usage'];
/** Of a new measurement in what is told. */
const WEIGHT = 0.1;
const LATE_MS = 1000;
/** HAProxy answers it by itself. */
const PATH = '/api/v1/service/';

/** Measures it by asking what HAProxy answers by itself, as a client would. */
export class SaturationProbe {
  readonly #port: number;
  #routingMs: number | undefined;
  #cpuSeconds = 0;

  /** `port`: for plain HTTP, on this machine's loopback. */
  constructor(port: number) {
    this.#port = port;
  }

  async sample(): Promise<Saturation> {
    const [took, cpuSeconds] = await Promise.all([this.#ask(), usedCpuSeconds()]);
    this.#routingMs = this.#routingMs === undefined ? took : this.#routingMs + WEIGHT * (took - this.#routingMs);
    this.#cpuSeconds = cpuSeconds ?? this.#cpuSeconds;
    return { cpuSeconds: this.#cpuSeconds, routingMs: this.#routingMs };
  }

  #ask(): Promise<number> {
    const begun = performance.now();
    return new Promise((resolve) => {
      const asked = request({ host: '127.0.0.1', port: this.#port, path: PATH, timeout: LATE_MS, agent: false });
      const end = () => resolve(performance.now() - begun);
      asked.on('timeout', () => asked.destroy());
      asked.on('error', end);
      asked.on('response', (response) => response.resume().on('close', end));
      asked.end();
    });
  }
}

/** Of all processes of the container; undefined where the system does not tell. */
async function usedCpuSeconds(): Promise<number | undefined> {
  for (const path of CGROUPS) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const microseconds = /^usage_usec (\d+)/m.exec(text)?.[1];
    return microseconds === undefined ? Number(text) / 1e9 : Number(microseconds) / 1e6;
  }
  return undefined;
}
