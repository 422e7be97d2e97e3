/** A value of `timeout queue` that some versions have: backends have it fixed, so each value has a pool of its own. */
export interface QueueClass {
  /** Milliseconds, > 0. */
  readonly queueMs: number;
  /** Backends of that value. */
  readonly backends: number;
  /** Backends for servers of the user's own, which go on working after a time-out. */
  readonly heldBackends: number;
}

export interface HaproxySettings {
  /** Private to the router: sockets, maps, certificates. */
  readonly folder: string;
  /** Such as `*`. */
  readonly address: string;
  readonly port: number;
  /** Absent: no certificate is there. `redirects`: plain HTTP is sent on to HTTPS. */
  readonly tls?: { readonly port: number; readonly redirects: boolean };
  readonly hopPort: number;
  readonly threads: number;
  /** Connections in all. */
  readonly maxConnections: number;
  readonly classes: readonly QueueClass[];
  /** How many other routers there can be. */
  readonly peers: number;
  /** UDP on 127.0.0.1: a line per request. */
  readonly logPort: number;
  /** `server` lines of backends, as they are at run time: what was added there is lost at a reload otherwise. */
  readonly servers: ReadonlyMap<string, readonly string[]>;
}
