import { chooseVersion, type TrafficSplit, trafficSplit } from '../serving/traffic.ts';
import { type Authenticator, createAuthenticator } from './gateway-auth.ts';
import type { GatewayEndpoint } from './gateway-protocol.ts';
import { RunningVersion } from './gateway-version.ts';

/** An endpoint as one configuration has it. A new configuration makes a new one, which takes over the versions that stay. */
export class RunningEndpoint {
  readonly configuration: GatewayEndpoint;
  readonly authenticator: Authenticator;
  readonly versions: ReadonlyMap<string, RunningVersion>;
  readonly #split: TrafficSplit;

  private constructor(
    configuration: GatewayEndpoint,
    authenticator: Authenticator,
    versions: ReadonlyMap<string, RunningVersion>,
  ) {
    this.configuration = configuration;
    this.authenticator = authenticator;
    this.versions = versions;
    this.#split = trafficSplit(configuration.versions);
  }

  /** Everything that can fail, before anything is changed. @throws when a key cannot be read */
  static async prepare(configuration: GatewayEndpoint, before: RunningEndpoint | undefined): Promise<PreparedEndpoint> {
    const unchanged = before && JSON.stringify(before.configuration.auth) === JSON.stringify(configuration.auth);
    const authenticator = unchanged ? before.authenticator : await createAuthenticator(configuration.auth);
    return {
      take: () => {
        const versions = configuration.versions.map((version) => {
          const running = before?.versions.get(version.name);
          running?.configure(version);
          return [version.name, running ?? new RunningVersion(configuration.name, version)] as const;
        });
        return new RunningEndpoint(configuration, authenticator, new Map(versions));
      },
    };
  }

  get name(): string {
    return this.configuration.name;
  }

  /** By its name, else by chance. */
  choose(asked: string | undefined, random: () => number): RunningVersion | undefined {
    const name = asked ?? chooseVersion(this.#split, random());
    return name === undefined ? undefined : this.versions.get(name);
  }

  /** Has traffic, or a replica for who asks by name: what waits for it may go on waiting. */
  isServed(version: RunningVersion): boolean {
    if (this.versions.get(version.name) !== version) return false;
    if (version.readyReplicas > 0) return true;
    return this.#split.some(
      ({ name, upTo }, index) => name === version.name && upTo > (this.#split[index - 1]?.upTo ?? 0),
    );
  }
}

export interface PreparedEndpoint {
  /** Puts it in force. */
  take(): RunningEndpoint;
}
