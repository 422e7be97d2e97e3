import type { TargetView, WorkspaceScope } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { EngineHost } from './engine-host.ts';
import type { HandlersOf } from './handler.ts';
import { untilAborted } from './pace.ts';

const LOOK_MS = 1000;

export const TARGET: HandlersOf<'target'> = {
  'target.list': (scope, { host }) => listTargets(host, scope),
  'target.watch': async (scope, { host, signal, emit }) => {
    let told = '';
    await untilAborted(LOOK_MS, signal, async () => {
      const targets = await listTargets(host, scope);
      const now = JSON.stringify(targets);
      if (now === told) return;
      told = now;
      await emit(targets);
    });
    return null;
  },
  'target.attach': async ({ name }) => {
    throw notYet(name);
  },
  'target.detach': async ({ target }) => {
    throw notYet(target);
  },
};

async function listTargets(host: EngineHost, _scope: WorkspaceScope): Promise<readonly TargetView[]> {
  return [await localTarget(host)];
}

async function localTarget({ local, options }: EngineHost): Promise<TargetView> {
  const { stopped } = await local.status();
  return {
    name: local.name,
    kind: 'local',
    location: 'this machine',
    state: stopped ? 'Stopped' : 'Ready',
    version: options.version,
  };
}

function notYet(name: string): AksmlError {
  return new AksmlError('computeTarget.notFound', `There is no compute target ${JSON.stringify(name)}.`, {
    fault: 'input',
    subject: `computeTarget/${name}`,
  });
}
