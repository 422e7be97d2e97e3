import type { Values } from './fields.ts';

/** The lists of a conda environment as the form shows them, one entry a line. */
export interface CondaLists {
  readonly channels: readonly string[];
  readonly packages: readonly string[];
  readonly pip: readonly string[];
}

export function condaLists(value: unknown): CondaLists {
  const spec = asValues(value);
  const dependencies = asList(spec['dependencies']);
  return {
    channels: asList(spec['channels']).filter(isText),
    packages: dependencies.filter(isText),
    pip: dependencies.flatMap((entry) => asList(asValues(entry)['pip'])).filter(isText),
  };
}

/** The same environment with other lists; what the lists do not hold stays as it is. Undefined: nothing is left. */
export function withLists(value: unknown, { channels, packages, pip }: CondaLists): Values | undefined {
  const { channels: _, dependencies, ...rest } = asValues(value);
  const others = asList(dependencies).filter((entry) => !isText(entry) && !('pip' in asValues(entry)));
  const list = [...packages, ...others, ...(pip.length > 0 ? [{ pip }] : [])];
  const next = {
    ...rest,
    ...(channels.length > 0 ? { channels } : {}),
    ...(list.length > 0 ? { dependencies: list } : {}),
  };
  return Object.keys(next).length === 0 ? undefined : next;
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function asValues(value: unknown): Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Values) : {};
}
