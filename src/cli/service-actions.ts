import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { LogLine } from '../contract/compute-target.ts';
import { AksmlError } from '../contract/error.ts';
import * as services from '../engine/endpoints/service.ts';
import type { Engine } from '../engine/engine.ts';
import type { CommandContext, ServiceReference } from './context.ts';
import { EXIT } from './failure.ts';
import { LineWriter } from './line-writer.ts';
import type { Filter } from './option.ts';
import { printable, printableJson, printableLog } from './printable.ts';
import { NOTHING, type Result, valueResult } from './result.ts';
import { endpointResult, endpointsResult, localTime } from './service-view.ts';
import { paint, type Style } from './terminal.ts';

/** What `service` and `endpoint realtime` do alike. */

export interface ListFilter {
  readonly computeTarget: string | undefined;
  readonly computeType: string | undefined;
  readonly modelId: string | undefined;
  readonly modelName: string | undefined;
  readonly imageDigest?: string | undefined;
  readonly tag: readonly Filter[] | undefined;
  readonly property: readonly Filter[] | undefined;
}

export async function listServices(
  context: CommandContext,
  form: 'service' | 'endpoint',
  filter: ListFilter,
): Promise<Result> {
  const wanted = {
    form,
    ...(filter.computeType === undefined ? {} : { computeType: filter.computeType }),
    ...(filter.modelId === undefined ? {} : { modelId: filter.modelId }),
    ...(filter.modelName === undefined ? {} : { modelName: filter.modelName }),
    ...(filter.imageDigest === undefined ? {} : { imageDigest: filter.imageDigest }),
    ...(filter.tag === undefined ? {} : { tags: filter.tag.map(asTuple) }),
    ...(filter.property === undefined ? {} : { properties: filter.property.map(asTuple) }),
  };
  const session = await context.session();
  const { found, problems } = await session.listEndpoints(filter.computeTarget, context.run.signal);
  for (const problem of problems) context.warn(problem);
  for (const name of (await (await context.local()).localStatus()).damaged) {
    context.warn({
      severity: 'warning',
      code: 'service.damaged',
      message: `What is known of "${name}" cannot be read, so it is missing here.`,
      remedy: `See "aksml service show -n ${name}".`,
    });
  }
  const listed = found.map(({ engine, endpoints }) => ({ engine, endpoints: services.matching(endpoints, wanted) }));
  return endpointsResult(listed, form === 'service' ? 'services' : 'endpoints');
}

export function asTuple({ key, value }: Filter): readonly [string, string?] {
  return value === undefined ? [key] : [key, value];
}

export async function showService(context: CommandContext, service: ServiceReference): Promise<Result> {
  const engine = await context.engineOf(service);
  return endpointResult(engine, await services.getService(engine, service.name, context.run.signal));
}

export async function deleteService(
  context: CommandContext,
  service: ServiceReference & { readonly yes: boolean | undefined },
  what: string,
): Promise<Result> {
  const { name } = service;
  const engine = await engineOfDamaged(context, service);
  await context.confirm(`Delete the ${what} ${name} on ${engine.target.name}?`, service.yes);
  await services.deleteService(engine, name, context.run.signal);
  context.say(`The ${what} ${name} is deleted. Its history remains.`);
  return NOTHING;
}

/** What is known of a service may be unreadable; it can be deleted all the same. */
async function engineOfDamaged(context: CommandContext, service: ServiceReference): Promise<Engine> {
  try {
    const engine = await context.engineOf(service);
    await services.getService(engine, service.name, context.run.signal);
    return engine;
  } catch (error) {
    if (!AksmlError.is(error, 'service.damaged')) throw error;
    context.say(error.message);
    return context.engine(service.computeTarget);
  }
}

export async function getKeys(context: CommandContext, service: ServiceReference): Promise<Result> {
  const keys = await services.getKeys(await context.engineOf(service), service.name);
  return valueResult(keys, {
    kind: 'facts',
    facts: [
      ['Primary key', keys.primaryKey],
      ['Secondary key', keys.secondaryKey],
    ],
  });
}

export async function regenerateKey(
  context: CommandContext,
  service: ServiceReference & { readonly key: string; readonly setKey: string | undefined },
): Promise<Result> {
  const { name, key, setKey } = service;
  await services.regenerateKey(await context.engineOf(service), name, key, setKey);
  context.say(`The ${key.toLowerCase()} key of ${name} is replaced. See it with "get-keys".`);
  return NOTHING;
}

export async function revokeTokens(
  context: CommandContext,
  service: ServiceReference & { readonly yes: boolean | undefined },
): Promise<Result> {
  await context.confirm(`Make all tokens of ${service.name} invalid?`, service.yes);
  await services.revokeTokens(await context.engineOf(service), service.name, context.run.signal);
  context.say(`All tokens of ${service.name} are invalid. Get a new one with "get-access-token".`);
  return NOTHING;
}

export async function getAccessToken(context: CommandContext, service: ServiceReference): Promise<Result> {
  const token = await services.getAccessToken(await context.engineOf(service), service.name);
  return valueResult(token, {
    kind: 'facts',
    facts: [
      ['Token', token.accessToken],
      ['Refresh after', localTime(new Date(token.refreshAfter * 1000).toISOString())],
      ['Expires', localTime(new Date(token.expiryOn * 1000).toISOString())],
    ],
  });
}

export async function runService(
  context: CommandContext,
  service: ServiceReference & { readonly inputData: string | undefined; readonly versionName?: string | undefined },
): Promise<Result> {
  const { name, inputData, versionName: version } = service;
  const request = { name, input: await requestBody(context, inputData), ...(version === undefined ? {} : { version }) };
  const engine = await context.engineOf(service);
  const { output } = await services.runService(engine, request, context.run.signal);
  return valueResult(output, { kind: 'json' });
}

/** Bytes as they are: not every body is text. */
async function requestBody(context: CommandContext, input: string | undefined): Promise<string | Uint8Array> {
  if (input === undefined || !input.startsWith('@')) return input ?? '';
  const path = input.slice(1);
  if (path === '-') return context.host.readInput();
  return readFile(resolve(context.host.cwd, path)).catch((cause: unknown) => {
    throw new AksmlError('file.unreadable', `The input file ${JSON.stringify(path)} cannot be read.`, {
      fault: 'input',
      subject: '--input-data',
      cause,
      remedy: 'Check the path after "@"; it starts from the current folder.',
    });
  });
}

export interface LogWishes extends ServiceReference {
  readonly init: boolean | undefined;
  readonly numLines: number | undefined;
  readonly follow: boolean | undefined;
  readonly since: string | undefined;
  readonly grep: string | undefined;
  readonly versionName?: string | undefined;
}

const DEFAULT_LINES = 5000;

/** Lines as they come; with `-o json`, one JSON object a line. */
export async function printLogs(context: CommandContext, wishes: LogWishes): Promise<Result> {
  const engine = await context.engineOf(wishes);
  const query = {
    lines: wishes.numLines ?? DEFAULT_LINES,
    ...(wishes.init ? { init: true } : {}),
    ...(wishes.follow ? { follow: true } : {}),
    ...(wishes.since === undefined ? {} : { since: sinceTime(wishes.since, engine.clock()) }),
    ...(wishes.grep === undefined ? {} : { grep: wishes.grep }),
    ...(wishes.versionName === undefined ? {} : { version: wishes.versionName }),
  };
  const asJson = context.globals.output === 'json' || context.globals.output === 'jsonc';
  const render = logRenderer(context);
  const writer = new LineWriter(context.host.terminal.out);
  try {
    for await (const line of services.readLogs(engine, wishes.name, query, context.run.signal)) {
      if (context.globals.output === 'none') continue;
      writer.line(asJson ? printableJson(JSON.stringify(line)) : render(line));
      // Whoever reads slowly holds the log back: it would fill the memory.
      const behind = context.host.terminal.out.drained?.();
      if (behind) await behind;
    }
  } catch (error) {
    if (!AksmlError.isCancelled(error)) throw error;
  } finally {
    writer.flush();
  }
  const { signal } = context.run;
  // Ctrl+C is how following ends.
  if (signal.aborted && wishes.follow) return { kind: 'nothing', exitCode: EXIT.cancelled };
  signal.throwIfAborted();
  return NOTHING;
}

const REPLICA_STYLES: readonly Style[] = ['cyan', 'magenta', 'blue', 'green', 'yellow'];

/** A pipe gets the log as it was written; a terminal gets it with its replica, and without what a terminal would obey. */
function logRenderer({ host }: CommandContext): (line: LogLine) => string {
  const { out, unicode } = host.terminal;
  const styles = new Map<string, Style>();
  if (!out.isTerminal) return ({ line }) => line;
  return ({ replica, line }) => {
    const style = styles.get(replica) ?? REPLICA_STYLES[styles.size % REPLICA_STYLES.length] ?? 'cyan';
    styles.set(replica, style);
    return `${paint(out, style, printable(replica, unicode))} ${printableLog(line, out.color, unicode)}`;
  };
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `15m` before now, or a date and time. */
export function sinceTime(text: string, now: Date): string {
  const duration = /^(\d+)([smhd])$/.exec(text);
  const time = duration
    ? new Date(now.getTime() - Number(duration[1]) * (UNIT_MS[duration[2] ?? 's'] ?? 1000))
    : new Date(text);
  if (!Number.isNaN(time.getTime())) return time.toISOString();
  throw new AksmlError('since.invalid', `--since: ${JSON.stringify(text)} is no time.`, {
    fault: 'input',
    subject: '--since',
    remedy: 'Give a duration such as 90s, 15m, 2h or 1d, or a date and time such as 2026-01-31T12:00:00Z.',
  });
}
