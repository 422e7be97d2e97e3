import { type Command, command } from './command.ts';
import { text } from './option.ts';

const actions = () => import('./computetarget-actions.ts');

export const COMPUTE_TARGET_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List compute targets',
    options: {},
    examples: [{ line: 'aksml computetarget list', what: 'All that models can be deployed to' }],
    run: async (context) => (await actions()).listComputeTargets(context),
  }),
  command({
    name: 'show',
    summary: 'Show a compute target',
    options: {
      name: text({ aliases: ['n'], required: true, placeholder: 'NAME', help: 'Name of the compute target.' }),
    },
    examples: [{ line: 'aksml computetarget show -n local', what: 'This machine' }],
    run: async (context, { name }) => (await actions()).showComputeTarget(context, name),
  }),
];
