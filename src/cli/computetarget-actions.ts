import { AksmlError } from '../contract/error.ts';
import type { CommandContext } from './context.ts';
import { type Result, valueResult } from './result.ts';

/** In the members of v1's listing. */
async function computeTargets(context: CommandContext) {
  const { target } = await context.engine();
  return [{ name: target.name, computeType: target.kind, provisioningState: 'Succeeded', location: 'this machine' }];
}

export async function listComputeTargets(context: CommandContext): Promise<Result> {
  const found = await computeTargets(context);
  return valueResult(found, {
    kind: 'rows',
    columns: ['NAME', 'TYPE', 'STATE', 'LOCATION'],
    rows: found.map(({ name, computeType, provisioningState, location }) => [
      name,
      computeType,
      provisioningState,
      location,
    ]),
    empty: 'There are no compute targets.',
  });
}

export async function showComputeTarget(context: CommandContext, name: string): Promise<Result> {
  const all = await computeTargets(context);
  const found = all.find((candidate) => candidate.name === name);
  if (found) return valueResult(found);
  throw new AksmlError('computeTarget.notFound', `There is no compute target ${JSON.stringify(name)}.`, {
    fault: 'input',
    subject: `computeTarget/${name}`,
    remedy: `There is ${all.map((candidate) => candidate.name).join(', ')}.`,
  });
}
