import { type Command, command } from './command.ts';
import { METADATA_FILE } from './metadata-file.ts';

const actions = () => import('./workspace-actions.ts');

export const WORKSPACE_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List the workspaces on this machine',
    options: {},
    examples: [{ line: 'aksml workspace list', what: 'By name' }],
    run: async (context) => (await actions()).listWorkspaces(context),
  }),
  command({
    name: 'show',
    summary: 'Show the workspace that commands here use, and why',
    options: METADATA_FILE,
    examples: [
      { line: 'aksml workspace show', what: 'Of the current folder' },
      { line: 'aksml workspace show -w team -g research', what: 'By name' },
    ],
    run: async (context, { outputMetadataFile }) => (await actions()).showWorkspace(context, outputMetadataFile),
  }),
];
