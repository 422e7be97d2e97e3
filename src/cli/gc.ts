import { type Command, command } from './command.ts';
import { DRY_RUN } from './deploy-options.ts';

export const GC_COMMANDS: readonly Command[] = [
  command({
    name: '',
    summary: 'Remove what is no longer needed',
    description:
      'Content of deleted models, environments that no service uses, and leftovers of commands that were killed.',
    options: DRY_RUN,
    examples: [
      { line: 'aksml gc --dry-run', what: 'How much it would free' },
      { line: 'aksml gc', what: 'Free it' },
    ],
    run: async (context, { dryRun }) => (await import('./gc-actions.ts')).collectGarbage(context, dryRun === true),
  }),
];
