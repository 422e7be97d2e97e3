import type { Command } from './command.ts';

export interface CommandGroup {
  /** The words of the group; a command without a group is a group of one, whose command has no name of its own. */
  readonly words: readonly string[];
  readonly summary: string;
  /** The grammar and actions of one group, loaded only when one of its commands is used. */
  load(): Promise<readonly Command[]>;
}

/** In the order of the overview. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [
  {
    words: ['model'],
    summary: 'Register models and deploy them',
    load: async () => (await import('./model.ts')).MODEL_COMMANDS,
  },
  {
    words: ['service'],
    summary: 'Score with services, update, watch and roll them back',
    load: async () => (await import('./service.ts')).SERVICE_COMMANDS,
  },
  {
    words: ['endpoint', 'realtime'],
    summary: 'Endpoints with several versions and a traffic split',
    load: async () => (await import('./endpoint.ts')).ENDPOINT_COMMANDS,
  },
  {
    words: ['environment'],
    summary: 'Register and reuse environments',
    load: async () => (await import('./environment.ts')).ENVIRONMENT_COMMANDS,
  },
  {
    words: ['computetarget'],
    summary: 'Where services run',
    load: async () => (await import('./computetarget.ts')).COMPUTE_TARGET_COMMANDS,
  },
  {
    words: ['workspace'],
    summary: 'Where models and environments live',
    load: async () => (await import('./workspace.ts')).WORKSPACE_COMMANDS,
  },
  {
    words: ['folder'],
    summary: 'Tie a project folder to a workspace',
    load: async () => (await import('./folder.ts')).FOLDER_COMMANDS,
  },
  {
    words: ['config'],
    summary: 'Check configuration files',
    load: async () => (await import('./config.ts')).CONFIG_COMMANDS,
  },
  {
    words: ['import'],
    summary: 'Turn v2 endpoint and deployment files into configuration files',
    load: async () => (await import('./import.ts')).IMPORT_COMMANDS,
  },
  {
    words: ['mcp'],
    summary: 'Let a language model list, plan, deploy and troubleshoot, over the Model Context Protocol',
    load: async () => (await import('./mcp.ts')).MCP_COMMANDS,
  },
  {
    words: ['local'],
    summary: 'What runs on this machine',
    load: async () => (await import('./local.ts')).LOCAL_COMMANDS,
  },
  {
    words: ['gc'],
    summary: 'Remove what is no longer needed',
    load: async () => (await import('./gc.ts')).GC_COMMANDS,
  },
  {
    words: ['completion'],
    summary: 'Set up completion in your shell',
    load: async () => (await import('./completion.ts')).COMPLETION_COMMANDS,
  },
];

/** How a person types it: `model deploy`. */
export function fullName(group: CommandGroup, command: Command): string {
  return [...group.words, ...(command.name === '' ? [] : [command.name])].join(' ');
}
