/** One key whose value differs; `before` or `after` is absent where the key is. */
export interface ValueChange {
  /** Such as `scale.minReplicas` or `python.condaDependencies.pip[2]`. */
  readonly path: string;
  readonly before?: string | number | boolean | null;
  readonly after?: string | number | boolean | null;
}

type Leaf = string | number | boolean | null;

/** Compares two JSON values key by key. Sorted by path. */
export function compareValues(before: unknown, after: unknown): ValueChange[] {
  const [old, current] = [leavesOf(before), leavesOf(after)];
  const changes: ValueChange[] = [];
  for (const path of [...new Set([...old.keys(), ...current.keys()])].sort()) {
    const [was, is] = [old.get(path), current.get(path)];
    if (was === is) continue;
    changes.push({ path, ...(was === undefined ? {} : { before: was }), ...(is === undefined ? {} : { after: is }) });
  }
  return changes;
}

function leavesOf(value: unknown): Map<string, Leaf> {
  const leaves = new Map<string, Leaf>();
  collect(value, '', leaves);
  return leaves;
}

function collect(value: unknown, path: string, leaves: Map<string, Leaf>): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(item, `${path}[${index}]`, leaves);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) collect(member, path === '' ? key : `${path}.${key}`, leaves);
  } else if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    leaves.set(path, value);
  }
}
