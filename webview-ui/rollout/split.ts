/** One version in the form; the shares of all versions of an endpoint add up to exactly 100 at every moment. */
export interface SplitVersion {
  readonly name: string;
  readonly isDefault: boolean;
  readonly isControl: boolean;
  /** Percent, in steps of 0.01. */
  readonly share: number;
}

export type Split = readonly SplitVersion[];

/** Shares are whole hundredths of a percent inside, so that sums are exact. */
const UNITS = 100;
const WHOLE = 100 * UNITS;

/**
 * Gives a version a share. A version beside the default takes from the default first, then from the others in proportion, and gives back to the
 * default; the default takes from the others, and gives to them, in proportion.
 */
export function moveShare(split: Split, name: string, share: number): Split {
  const moved = split.find((version) => version.name === name);
  if (!moved || split.length < 2 || !Number.isFinite(share)) return split;
  const wanted = Math.round(Math.min(100, Math.max(0, share)) * UNITS);
  const rest = split.filter((version) => version.name !== name);
  const left = WHOLE - wanted;
  const fallback = rest.find((version) => version.isDefault);
  const others = rest.filter((version) => !version.isDefault);
  const taken = others.reduce((sum, version) => sum + unitsOf(version), 0);
  const kept = fallback ? Math.min(left, taken) : left;
  const shared = distribute(kept, others.map(unitsOf));
  const units = new Map<string, number>([[name, wanted]]);
  for (const [index, version] of others.entries()) units.set(version.name, shared[index] ?? 0);
  if (fallback) units.set(fallback.name, left - kept);
  return withUnits(split, units);
}

/** Moves up to `step` percent from the default version to another, or back where the step is negative. */
export function shiftShare(split: Split, name: string, step: number): Split {
  const version = split.find((candidate) => candidate.name === name);
  return version ? moveShare(split, name, version.share + step) : split;
}

/** The version takes everything, and is the default from now on. */
export function promote(split: Split, name: string): Split {
  return split.map((version) => ({
    ...version,
    isDefault: version.name === name,
    share: version.name === name ? 100 : 0,
  }));
}

/** Everything back to the default version. */
export function withdraw(split: Split): Split {
  return split.map((version) => ({ ...version, share: version.isDefault ? 100 : 0 }));
}

/** Another default; nobody's share changes by it. */
export function makeDefault(split: Split, name: string): Split {
  return split.map((version) => ({ ...version, isDefault: version.name === name }));
}

/** At most one version is the control. */
export function makeControl(split: Split, name: string | undefined): Split {
  return split.map((version) => ({ ...version, isControl: version.name === name }));
}

export function isSameSplit(a: Split, b: Split): boolean {
  return (
    a.length === b.length &&
    a.every((version) => {
      const other = b.find(({ name }) => name === version.name);
      return (
        other !== undefined &&
        other.isDefault === version.isDefault &&
        other.isControl === version.isControl &&
        unitsOf(other) === unitsOf(version)
      );
    })
  );
}

function unitsOf({ share }: Pick<SplitVersion, 'share'>): number {
  return Math.round(share * UNITS);
}

function withUnits(split: Split, units: ReadonlyMap<string, number>): Split {
  return split.map((version) => ({ ...version, share: (units.get(version.name) ?? 0) / UNITS }));
}

/** Whole parts of `total` in proportion to the weights, largest remainders first; equal parts where no weight says otherwise. */
function distribute(total: number, weights: readonly number[]): number[] {
  if (weights.length === 0) return [];
  const sum = weights.reduce((left, right) => left + right, 0);
  const exact = weights.map((weight) => (sum === 0 ? total / weights.length : (total * weight) / sum));
  const parts = exact.map(Math.floor);
  const missing = total - parts.reduce((left, right) => left + right, 0);
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder);
  for (const { index } of byRemainder.slice(0, missing)) parts[index] = (parts[index] ?? 0) + 1;
  return parts;
}
