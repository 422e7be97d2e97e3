import { type Command, command } from './command.ts';
import { flag } from './option.ts';

export const MCP_COMMANDS: readonly Command[] = [
  command({
    name: '',
    summary: 'Let a language model list, plan, deploy and troubleshoot, over the Model Context Protocol',
    description:
      'A server on standard input and output, for clients that start it. It tells names, URLs, states and causes, never keys or tokens. Before it deploys, it asks through the client; a client that cannot ask may deploy only with --allow-deploy.',
    options: {
      allowDeploy: flag({ help: 'Deploy without asking where the client cannot ask.' }),
    },
    examples: [{ line: 'aksml mcp', what: 'In the configuration of a client: command "aksml", arguments ["mcp"]' }],
    run: async (context, { allowDeploy }) =>
      (await import('./mcp-actions.ts')).serveModelContext(context, allowDeploy === true),
  }),
];
