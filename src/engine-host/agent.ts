import { AGENT_TOOLS, type AgentCall, type AgentTool } from '../agent/agent.ts';
import type { ParamsOf } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import type { Call, HandlersOf } from './handler.ts';
import { askInProcess } from './in-process.ts';

export const AGENT: HandlersOf<'agent'> = {
  'agent.question': async (params, call) => {
    const { confirmation } = toolOf(params);
    return { text: (await confirmation?.(params.input, agentCall(params, call))) ?? null };
  },
  'agent.run': async (params, call) => ({ text: await toolOf(params).run(params.input, agentCall(params, call)) }),
};

function toolOf({ tool }: ParamsOf<'agent.run'>): AgentTool {
  const found = AGENT_TOOLS.find(({ name }) => name === tool);
  if (found) return found;
  throw new AksmlError('tool.unknown', `There is no tool ${JSON.stringify(tool)}.`, { fault: 'input', subject: tool });
}

function agentCall(
  { folder }: ParamsOf<'agent.run'>,
  { host, signal }: Pick<Call<'agent.run'>, 'host' | 'signal'>,
): AgentCall {
  return { ask: askInProcess(host), folder, signal };
}
