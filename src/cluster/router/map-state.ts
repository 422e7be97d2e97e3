import { mapCommands } from './haproxy-commands.ts';
import { MAPS } from './haproxy-names.ts';
import { type CommonEntries, commonEntries, endpointEntries, type MapEntries, type MapFacts } from './route-maps.ts';
import type { RoutedEndpoint } from './routing-table.ts';

/** What the maps say of one endpoint, and what that was made from. */
interface Part {
  readonly endpoint: RoutedEndpoint | undefined;
  /** Of its owner and the backends of its versions. */
  readonly places: string;
  readonly entries: MapEntries;
}

/** Of no endpoint in particular: names of endpoints are not empty. */
const COMMON = '';
const NOTHING: MapEntries = new Map();

/** What HAProxy's maps say. Of thousands of endpoints only those are looked at again that are other objects than before, or elsewhere. */
export class MapState {
  readonly #folder: string;
  #parts: ReadonlyMap<string, Part> = new Map();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the maps say this: carries out the commands that are needed, and remembers. */
  async change(
    endpoints: readonly RoutedEndpoint[],
    facts: MapFacts,
    common: CommonEntries,
    carryOut: (commands: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const parts = new Map<string, Part>([
      [COMMON, { endpoint: undefined, places: '', entries: commonEntries(common) }],
      ...endpoints.map((endpoint) => [endpoint.name, this.#partOf(endpoint, facts)] as const),
    ]);
    const commands: string[] = [];
    for (const [name, part] of parts) {
      const before = this.#parts.get(name);
      if (before !== part) commands.push(...mapCommands(this.#folder, before?.entries ?? NOTHING, part.entries));
    }
    for (const [name, { entries }] of this.#parts)
      if (!parts.has(name)) commands.push(...mapCommands(this.#folder, entries, NOTHING));
    await carryOut(commands);
    this.#parts = parts;
  }

  /** From now on versions of these backends get no requests; to be said by a worker that begins anew. */
  close(backends: ReadonlySet<string>): void {
    if (backends.size === 0) return;
    this.#parts = new Map([...this.#parts].map(([name, part]) => [name, closed(part, backends)]));
  }

  /** Of everything. */
  all(): MapEntries {
    const parts = [...this.#parts.values()];
    return new Map(
      MAPS.map((name) => [name, new Map(parts.flatMap(({ entries }) => [...(entries.get(name) ?? [])]))] as const),
    );
  }

  #partOf(endpoint: RoutedEndpoint, facts: MapFacts): Part {
    const { name, versions } = endpoint;
    const places = [facts.ownerField(name), ...versions.map((version) => facts.backendOf(name, version.name))].join(
      ' ',
    );
    const before = this.#parts.get(name);
    if (before?.endpoint === endpoint && before.places === places) return before;
    return { endpoint, places, entries: endpointEntries(endpoint, facts) };
  }
}

function closed(part: Part, backends: ReadonlySet<string>): Part {
  const cold = (value: string) =>
    value.replace(/([^|:]+):([^|:]+):hot:/g, (target, backend: string, version: string) =>
      backends.has(backend) ? `${backend}:${version}:cold:` : target,
    );
  const entries = new Map(
    [...part.entries].map(([name, map]) => {
      const all = [...map];
      // A usual request is for versions that have replicas.
      if (name === 'usual') return [name, new Map(all.filter(([, value]) => !isFor(value, backends)))];
      const isConcerned = name === 'endpoints' || name === 'versions';
      return [name, isConcerned ? new Map(all.map(([key, value]) => [key, cold(value)])) : map];
    }),
  );
  return { ...part, endpoint: undefined, entries };
}

/** Whether an entry of the map `usual` leads to one of these backends. */
function isFor(entry: string, backends: ReadonlySet<string>): boolean {
  return entry.split('^').some((target) => backends.has(target.slice(0, target.indexOf(':'))));
}
