/** Kubernetes' decimal and binary suffixes (`resource.Quantity`). */
const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** Divided by, because `3800m` times a thousandth is not 3.8. */
const DIVISORS: Readonly<Record<string, number>> = { n: 1e9, u: 1e6, m: 1e3 };

/** The number that a quantity such as `500m`, `1.5Gi` or `1e3` stands for; 0 for none. */
export function quantity(text: string | undefined): number {
  const match = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([A-Za-z]*)$/.exec(text ?? '');
  const suffix = match?.[2] ?? '';
  const divisor = DIVISORS[suffix];
  const number = Number(match?.[1] ?? 0);
  const value = divisor === undefined ? number * (FACTORS[suffix] ?? 0) : number / divisor;
  return Number.isFinite(value) ? value : 0;
}
