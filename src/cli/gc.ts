import { type Command, command } from './command.ts';
import { DRY_RUN } from './deploy-options.ts';
import { flag } from './option.ts';

export const GC_COMMANDS: readonly Command[] = [
  command({
    name: '',
    summary: 'Remove what is no longer needed',
    description:
      'Content of deleted models, environments that no service uses, and leftovers of commands that were killed.',
    options: {
      ...DRY_RUN,
      caches: flag({ help: 'Also what is only kept to save time: downloaded packages and base images.' }),
    },
    examples: [
      { line: 'aksml gc --dry-run', what: 'How much it would free' },
      { line: 'aksml gc', what: 'Free it' },
      { line: 'aksml gc --caches', what: 'Free as much as possible; the next deploys download again' },
    ],
    run: async (context, { dryRun, caches }) =>
      (await import('./gc-actions.ts')).collectGarbage(context, { dryRun: dryRun === true, caches: caches === true }),
  }),
];
