/** Suffixes of Kubernetes quantities, as factors. */
const FACTORS: Readonly<Record<string, number>> = {
  m: 1e-3,
  '': 1,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

const GIB = 2 ** 30;

/** `100m` -> 0.1, `2` -> 2. Undefined: not a quantity. */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  const match =
    typeof value === 'string' ? /^\s*([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)\s*([a-zA-Z]*)\s*$/.exec(value) : null;
  const factor = match?.[2] === undefined || !Object.hasOwn(FACTORS, match[2]) ? undefined : FACTORS[match[2]];
  return match === null || factor === undefined ? undefined : round(Number(match[1]) * factor);
}

/** `0.5Gi`, `500Mi` or a number of bytes, in GiB. */
export function parseMemory(value: unknown): number | undefined {
  const bytes = parseQuantity(value);
  return bytes === undefined ? undefined : round(bytes / GIB);
}

/** Drops the noise of binary fractions. */
function round(value: number): number {
  return Number(value.toPrecision(12));
}

export interface AssetReference {
  readonly name: string;
  /** Absent with `@latest` and labels. */
  readonly version?: string;
  /** The registry it comes from, if it is not the workspace. */
  readonly registry?: string;
}

/** `azureml:name:1`, `azureml:name@latest`, `azureml://registries/R/environments/E/versions/1`, `…/labels/latest`, an ARM id. */
export function parseReference(text: string): AssetReference | undefined {
  const registry =
    /^azureml:\/\/registries\/([^/]+)\/(?:models|environments)\/([^/]+)(?:\/(versions|labels)\/([^/]+))?$/.exec(text);
  if (registry?.[1] !== undefined && registry[2] !== undefined) {
    const version = registry[3] === 'versions' ? registry[4] : undefined;
    return { name: registry[2], registry: registry[1], ...(version === undefined ? {} : { version }) };
  }
  const resource = /\/(?:models|environments)\/([^/]+)(?:\/versions\/([^/]+))?$/.exec(text);
  if (/^(?:azureml:)?\//.test(text) && resource?.[1] !== undefined) {
    return { name: resource[1], ...(resource[2] === undefined ? {} : { version: resource[2] }) };
  }
  const short = /^azureml:([^:@/]+)(?::([^:@]+)|@[^:@]+)?$/.exec(text);
  if (short?.[1] === undefined) return undefined;
  return { name: short[1], ...(short[2] === undefined ? {} : { version: short[2] }) };
}

/** Templates of published samples: `{{NAME}}` and `<name>`. */
export function findPlaceholder(text: string): string | undefined {
  return /\{\{\s*[\w.-]+\s*\}\}|<[A-Za-z][\w\- ]*>/.exec(text)?.[0];
}
