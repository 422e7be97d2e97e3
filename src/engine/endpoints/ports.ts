import type { Endpoint } from '../../contract/endpoint.ts';
import { isPort } from '../../contract/port.ts';
import { bindOnce } from '../../http/loopback-port.ts';

interface WantedPorts {
  readonly debug: number | undefined;
  /** Of the service itself. */
  readonly service: number | undefined;
}

/** The wanted ports of this machine that cannot be had, with the reason. What `current` has already is not asked for again. */
export async function closedPorts(wanted: WantedPorts, current: Endpoint | undefined): Promise<Map<number, string>> {
  const ports = [
    current === undefined ? wanted.debug : undefined,
    wanted.service === current?.spec.port ? undefined : wanted.service,
  ];
  const closed = new Map<number, string>();
  for (const port of ports) {
    if (port === undefined || !isPort(port)) continue;
    const reason = await bindOnce(port).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => REASONS[error.code ?? ''] ?? error.message,
    );
    if (reason !== undefined) closed.set(port, reason);
  }
  return closed;
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it',
  EACCES: 'you may not open it',
};
