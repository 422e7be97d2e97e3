/** `[major, minor, patch…]` */
export type PythonVersion = readonly number[];

/** Which Pythons a definition accepts. No constraints: any. */
export interface PythonRequest {
  /** As the user wrote it, for messages: `3.8.13`, `>=3.6,<3.9`. */
  readonly text: string;
  readonly constraints: readonly PythonConstraint[];
}

interface PythonConstraint {
  readonly operator: '=' | '>=' | '<=' | '>' | '<' | '!=';
  readonly version: PythonVersion;
}

export const ANY_PYTHON: PythonRequest = { text: '', constraints: [] };

/**
 * Reads the version part of a conda `python` specification: `=3.8`, ` 3.8`, `==3.8.13`, `>=3.6,<3.9`, `=3.8.*`, `=3.8.5=h123_0`, or nothing.
 * Undefined when it is none of these.
 */
export function parsePythonRequest(text: string): PythonRequest | undefined {
  const trimmed = text.trim();
  if (trimmed === '' || trimmed === '*') return ANY_PYTHON;
  const constraints: PythonConstraint[] = [];
  for (const part of trimmed.split(',')) {
    const match = /^(===?|=|>=|<=|!=|~=|>|<)?\s*(\d+(?:\.\d+)*)(?:\.\*|\*)?(?:[a-z]+\d+)?(?:[=\s]\S+)?$/.exec(
      part.trim(),
    );
    if (!match) return undefined;
    const [, operator = '=', digits = ''] = match;
    const version = parsePythonVersion(digits);
    if (operator === '~=') {
      constraints.push({ operator: '>=', version }, { operator: '=', version: version.slice(0, -1) });
    } else
      constraints.push({
        operator: operator.startsWith('=') ? '=' : (operator as PythonConstraint['operator']),
        version,
      });
  }
  return { text: trimmed.replace(/^=+\s*/, ''), constraints };
}

export function parsePythonVersion(text: string): PythonVersion {
  return (/\d+(?:\.\d+)*/.exec(text)?.[0] ?? '0').split('.').map(Number);
}

/** Major and minor decide; the patch level of an exact request does not, because bug-fix releases run the same packages. */
export function acceptsPython(request: PythonRequest, version: PythonVersion): boolean {
  return request.constraints.every((constraint) => {
    const exact = constraint.version.slice(0, 2);
    const order = comparePrefix(version, constraint.operator === '=' ? exact : constraint.version);
    switch (constraint.operator) {
      case '=':
        return order === 0;
      case '!=':
        return order !== 0;
      case '>=':
        return order >= 0;
      case '<=':
        return order <= 0;
      case '>':
        return order > 0;
      case '<':
        return order < 0;
      default:
        return constraint.operator satisfies never;
    }
  });
}

/** The minor version a request is about, for choosing the nearest and for downloads: `3.8` of `3.8.13`. */
export function wantedMinor(request: PythonRequest): PythonVersion | undefined {
  const constraint =
    request.constraints.find(({ operator }) => operator === '=') ??
    request.constraints.find(({ operator }) => operator.startsWith('<') || operator.startsWith('>'));
  return constraint && constraint.version.length > 1 ? constraint.version.slice(0, 2) : undefined;
}

/** Negative when `a` is older. Only as many parts as `b` has are compared. */
export function comparePrefix(a: PythonVersion, b: PythonVersion): number {
  for (const [index, part] of b.entries()) {
    const difference = (a[index] ?? 0) - part;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** How far apart two Pythons are, in minor versions; the newer of two equally distant ones comes first. */
export function pythonDistance(version: PythonVersion, wanted: PythonVersion): number {
  const [major = 0, minor = 0] = version;
  const [wantedMajor = 0, wantedMinorPart = 0] = wanted;
  const distance = Math.abs(major - wantedMajor) * 100 + Math.abs(minor - wantedMinorPart);
  return minor >= wantedMinorPart ? distance : distance + 0.5;
}
