import { homedir } from 'node:os';
import { AksmlError } from '../contract/error.ts';
import { readGatewayFigures } from '../local/gateway-figures.ts';
import { disableLoginStart, enableLoginStart } from '../local/login-start.ts';
import type { CommandContext } from './context.ts';
import { formatBytes } from './progress.ts';
import { type Cell, NOTHING, type Result, valueResult } from './result.ts';
import { localTime } from './service-view.ts';

export async function localStatus(context: CommandContext): Promise<Result> {
  const status = await (await context.local()).localStatus();
  const { supervisor, stopped, endpoints, damaged, logFile } = status;
  const services = supervisor?.endpoints ?? [];
  return valueResult(status, {
    kind: 'facts',
    facts: [
      [
        'Supervisor',
        supervisor
          ? `runs since ${localTime(supervisor.startedTime)}, process ${supervisor.pid}, ${formatBytes(supervisor.memoryBytes)}`
          : stopped
            ? 'stopped; "aksml local start" starts it again'
            : 'not needed: nothing is deployed',
      ],
      [
        'Gateway',
        supervisor?.gateway
          ? `http://127.0.0.1:${supervisor.gateway.port}, process ${supervisor.gateway.pid}`
          : 'does not run',
      ],
      ['Services', supervisor ? '' : endpoints.join(', ')],
      ...services.map(({ name, state, replicas }): readonly [string, Cell] => [
        `  ${name}`,
        `${state}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
      ]),
      ...(damaged.length === 0 ? [] : [['Damaged', damaged.join(', ')] as const]),
      ['Log', logFile],
      ['Home', context.home.root],
    ],
  });
}

export async function startLocal(context: CommandContext, atLogin: boolean | undefined): Promise<Result> {
  if (atLogin !== undefined) await startAtLogin(context, atLogin);
  await (await context.local()).start();
  return localStatus(context);
}

async function startAtLogin({ host, home, say }: CommandContext, wanted: boolean): Promise<void> {
  const { platform } = host;
  if (platform !== 'linux' && platform !== 'darwin' && platform !== 'win32') {
    throw new AksmlError(
      'login.unsupported',
      `On ${platform}, aksml does not know how programs are started at login.`,
      {
        fault: 'input',
        subject: '--at-login',
        remedy: 'Run "aksml local start" from a script that your system starts.',
      },
    );
  }
  const start = {
    platform,
    homeFolder: homedir(),
    environment: host.environment,
    command: host.supervisorCommand,
    home: home.root,
  };
  const file = wanted ? await enableLoginStart(start) : await disableLoginStart(start);
  say(wanted ? `From the next login on, ${file} starts the services.` : `${file} is gone; nothing starts at login.`);
}

export async function stopLocal(context: CommandContext, yes: boolean | undefined): Promise<Result> {
  const target = await context.local();
  const { endpoints } = await target.localStatus();
  if (endpoints.length > 0) await context.confirm(`Stop ${endpoints.join(', ')}?`, yes);
  await target.stop();
  context.say('Everything on this machine has stopped. "aksml local start" starts it again.');
  return NOTHING;
}

export async function localMetrics({ home, run }: CommandContext): Promise<Result> {
  return { kind: 'text', text: await readGatewayFigures(home, run.signal) };
}
