import { type Command, command } from './command.ts';
import { boolean, flag } from './option.ts';

const actions = () => import('./local-actions.ts');

export const LOCAL_COMMANDS: readonly Command[] = [
  command({
    name: 'status',
    summary: 'Show what runs on this machine',
    options: {},
    examples: [{ line: 'aksml local status', what: 'Supervisor, gateway, services' }],
    run: async (context) => (await actions()).localStatus(context),
  }),
  command({
    name: 'stop',
    summary: 'Stop everything that runs on this machine; nothing is deleted',
    description: 'The services come back with "aksml local start" or the next change.',
    options: { yes: flag({ aliases: ['y'], help: 'Do not ask.' }) },
    examples: [{ line: 'aksml local stop', what: 'Supervisor, gateway and replicas' }],
    run: async (context, { yes }) => (await actions()).stopLocal(context, yes),
  }),
  command({
    name: 'start',
    summary: 'Start what "local stop" has stopped',
    options: { atLogin: boolean({ help: 'Whether the services start by themselves whenever you log in.' }) },
    examples: [
      { line: 'aksml local start', what: 'After a stop or a reboot' },
      { line: 'aksml local start --at-login true', what: 'From now on without being asked' },
    ],
    run: async (context, { atLogin }) => (await actions()).startLocal(context, atLogin),
  }),
  command({
    name: 'metrics',
    summary: 'Print the metrics of the gateway, in the Prometheus format',
    options: {},
    examples: [{ line: 'aksml local metrics', what: 'Requests, queue, latency' }],
    run: async (context) => (await actions()).localMetrics(context),
  }),
];
