import { type Command, command } from './command.ts';
import { METADATA_FILE } from './metadata-file.ts';
import { text } from './option.ts';

export const FOLDER_COMMANDS: readonly Command[] = [
  command({
    name: 'attach',
    summary: 'Tie a project folder to a workspace',
    description: 'Writes .azureml/config.json, which every later command below the folder reads.',
    options: {
      ...METADATA_FILE,
      experimentName: text({
        aliases: ['e'],
        placeholder: 'NAME',
        effect: { kind: 'noEffect', reason: 'experiments belong to training' },
        help: 'Experiment of the folder.',
      }),
    },
    examples: [{ line: 'aksml folder attach -w team -g research', what: 'The current folder' }],
    run: async (context, { outputMetadataFile }) =>
      (await import('./workspace-actions.ts')).attachFolder(context, outputMetadataFile),
  }),
];
