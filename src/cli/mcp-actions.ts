import {
  acceptedContent,
  type CallToolResult,
  inputRequired,
  McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { toStandardJsonSchema } from '@valibot/to-json-schema';
import * as v from 'valibot';
import { AGENT_TOOLS, type AgentCall, type AgentTool } from '../agent/agent.ts';
import { AksmlError } from '../contract/error.ts';
import { EngineHost } from '../engine-host/engine-host.ts';
import { askInProcess } from '../engine-host/in-process.ts';
import type { CommandContext } from './context.ts';
import { asAksmlError } from './failure.ts';
import { NOTHING, type Result } from './result.ts';

/** Serves until the client closes standard input, or the person ends the command. */
export async function serveModelContext(context: CommandContext, allowDeploy: boolean): Promise<Result> {
  const { host, home, projectFolder } = context;
  const engineHost = new EngineHost({
    home,
    environment: host.environment,
    version: host.version,
    supervisorCommand: host.supervisorCommand,
  });
  const ask = askInProcess(engineHost);
  const ended = Promise.withResolvers<void>();
  const handle = serveStdio(() => {
    const server = new McpServer({ name: 'aksml', version: host.version });
    for (const tool of AGENT_TOOLS) {
      register(server, tool, allowDeploy, (signal) => ({ ask, folder: projectFolder, signal }));
    }
    server.server.onclose = ended.resolve;
    return server;
  });
  host.signal.addEventListener('abort', () => ended.resolve(), { once: true });
  await ended.promise;
  await handle.close();
  return NOTHING;
}

const CONFIRMATION = v.object({ deploy: v.pipe(v.boolean(), v.title('Deploy')) });

function register(
  server: McpServer,
  tool: AgentTool,
  allowUnasked: boolean,
  callWith: (signal: AbortSignal) => AgentCall,
): void {
  const { name, title, description, confirmation } = tool;
  const annotations = { readOnlyHint: confirmation === undefined, destructiveHint: confirmation !== undefined };
  const config = { title, description, inputSchema: toStandardJsonSchema(tool.input), annotations };
  server.registerTool(name, config, async (input: unknown, context: ServerContext) => {
    const call = callWith(context.mcpReq.signal);
    try {
      if (confirmation !== undefined && !(allowUnasked && !canAsk(server))) {
        if (!canAsk(server)) throw cannotAsk();
        const answer = acceptedContent(
          context.mcpReq.inputResponses,
          'confirmation',
          toStandardJsonSchema(CONFIRMATION),
        );
        if (context.mcpReq.inputResponses === undefined) {
          const message = `${await confirmation(input, call)}\n\nDeploy it?`;
          return inputRequired({
            inputRequests: {
              confirmation: inputRequired.elicit({ message, requestedSchema: toStandardJsonSchema(CONFIRMATION) }),
            },
          });
        }
        if (answer?.deploy !== true) return told('The person declined; nothing was deployed.');
      }
      return told(await tool.run(input, call));
    } catch (thrown) {
      return { ...told(explain(asAksmlError(thrown))), isError: true };
    }
  });
}

function canAsk(server: McpServer): boolean {
  return server.server.getClientCapabilities()?.elicitation !== undefined;
}

function cannotAsk(): AksmlError {
  return new AksmlError('mcp.cannotAsk', 'This client cannot ask the person whether to deploy.', {
    remedy:
      'Tell the person to run "aksml model deploy" with these arguments, or to start the server with --allow-deploy.',
  });
}

function told(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

function explain({ message, problems, remedy }: AksmlError): string {
  const found = problems.map((problem) =>
    [problem.severity, problem.message, problem.remedy].filter(Boolean).join(': '),
  );
  return [message, ...found, ...(remedy === undefined ? [] : [`What to do: ${remedy}`])].join('\n');
}
