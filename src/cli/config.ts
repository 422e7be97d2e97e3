import { type Command, command } from './command.ts';
import { choice, text } from './option.ts';

const actions = () => import('./config-actions.ts');

export const CONFIG_COMMANDS: readonly Command[] = [
  command({
    name: 'validate',
    summary: 'Check an inference configuration and a deployment configuration',
    description:
      'Prints every problem with its file, key, line and remedy. The exit code is 2 when one of them would refuse a deployment.',
    options: {
      inferenceConfigFile: text({ aliases: ['ic'], completes: 'file', help: 'Inference configuration, JSON or YAML.' }),
      deployConfigFile: text({ aliases: ['dc'], completes: 'file', help: 'Deployment configuration, JSON or YAML.' }),
    },
    examples: [
      { line: 'aksml config validate -ic inferenceconfig.json -dc deploymentconfig.json', what: 'Both files' },
      { line: 'aksml config validate -dc deploymentconfig.json -o json', what: 'For an editor or a pipeline' },
    ],
    run: async (context, options) => (await actions()).validateConfiguration(context, options),
  }),
  command({
    name: 'schema',
    summary: 'Print the JSON schema of a configuration file',
    options: {
      file: choice(['inferenceconfig', 'deploymentconfig'], {
        positional: true,
        required: true,
        placeholder: 'FILE',
        help: 'Which file.',
      }),
    },
    examples: [
      {
        line: 'aksml config schema inferenceconfig > inferenceconfig.schema.json',
        what: 'For completion in an editor',
      },
    ],
    run: async (_context, { file }) => (await actions()).printSchema(file),
  }),
];
