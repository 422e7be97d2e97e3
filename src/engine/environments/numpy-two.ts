import type { PipLine } from './requirement.ts';

type Requirement = Extract<PipLine, { kind: 'requirement' }>;
type Version = readonly number[];

/**
 * The first version that works with NumPy 2, of packages whose older versions are compiled for NumPy 1 and do not say so in their metadata.
 * v1 projects pin them and leave NumPy to be found, which then was NumPy 1.
 */
const FIRST_FOR_NUMPY_TWO: Readonly<Record<string, Version>> = {
  catboost: [1, 2, 7],
  h5py: [3, 11],
  lightgbm: [4, 4],
  matplotlib: [3, 8, 4],
  onnxruntime: [1, 19],
  'opencv-python': [4, 10],
  'opencv-python-headless': [4, 10],
  pandas: [2, 2, 2],
  pyarrow: [16],
  'scikit-learn': [1, 4, 2],
  shap: [0, 46],
  statsmodels: [0, 14, 2],
  tensorflow: [2, 18],
  'tensorflow-cpu': [2, 18],
  torch: [2, 3],
  xgboost: [2, 1],
};

export const NUMPY_ONE = 'numpy<2';

/** The requirements that hold NumPy below 2; none when the user has chosen its version. */
export function compiledForNumpyOne(requirements: readonly Requirement[]): readonly Requirement[] {
  const isChosen = requirements.some(({ name, specifier }) => name === 'numpy' && specifier !== '');
  return isChosen ? [] : requirements.filter(isOlder);
}

function isOlder({ name, specifier }: Requirement): boolean {
  const first = FIRST_FOR_NUMPY_TWO[name];
  if (first === undefined) return false;
  return (specifier.split(';')[0] ?? '').split(',').some((clause) => excludesFrom(clause.trim(), first));
}

/** Whether a clause such as `==1.2.*` or `<1.4` lets nothing from `first` on in. */
function excludesFrom(clause: string, first: Version): boolean {
  const match = /^(===?|~=|<=?)\s*v?(\d+(?:\.\d+)*)/.exec(clause);
  if (!match) return false;
  const version = (match[2] ?? '').split('.').map(Number);
  switch (match[1]) {
    case '<':
      return compare(version, first) <= 0;
    case '~=':
      return compare(next(version.slice(0, -1)), first) <= 0;
    default:
      return clause.includes('*') ? compare(next(version), first) <= 0 : compare(version, first) < 0;
  }
}

/** The first version that no longer begins like this one. */
function next(version: Version): Version {
  return version.map((part, index) => (index === version.length - 1 ? part + 1 : part));
}

function compare(a: Version, b: Version): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
