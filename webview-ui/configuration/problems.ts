import type { Problem } from '../../src/contract/problem.ts';
import type { FieldSpec } from './fields.ts';

/** Those about a key or something in it. */
export function problemsOf({ id }: Pick<FieldSpec, 'id'>, problems: readonly Problem[]): Problem[] {
  return problems.filter(({ path }) => path !== undefined && isWithin(id, path));
}

/** Those about no shown field, to be told at the top. */
export function otherProblems(fields: readonly FieldSpec[], problems: readonly Problem[]): Problem[] {
  return problems.filter(({ path }) => path === undefined || !fields.some(({ id }) => isWithin(id, path)));
}

function isWithin(id: string, path: string): boolean {
  return path === id || path.startsWith(`${id}.`) || path.startsWith(`${id}[`);
}
