import { type Command, command } from './command.ts';
import { METADATA_FILE } from './metadata-file.ts';
import { flag, text } from './option.ts';

const actions = () => import('./environment-actions.ts');

const ENVIRONMENT_NAME = {
  name: text({
    aliases: ['n'],
    required: true,
    placeholder: 'NAME',
    completes: 'environment',
    help: 'Name of the environment.',
  }),
};
const VERSION = {
  version: text({ aliases: ['v'], placeholder: 'VERSION', help: 'Its version. Default: the latest.' }),
};
const DIRECTORY = {
  directory: text({
    aliases: ['d'],
    required: true,
    placeholder: 'FOLDER',
    completes: 'folder',
    help: 'Folder with azureml_environment.json and conda_dependencies.yml.',
  }),
};

export const ENVIRONMENT_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List environments',
    options: METADATA_FILE,
    examples: [{ line: 'aksml environment list', what: 'The latest version of each' }],
    run: async (context, options) => (await actions()).listEnvironments(context, options),
  }),
  command({
    name: 'show',
    summary: 'Show an environment',
    options: { ...ENVIRONMENT_NAME, ...VERSION, ...METADATA_FILE },
    examples: [{ line: 'aksml environment show -n sklearn -v 2', what: 'One version' }],
    run: async (context, options) => (await actions()).showEnvironment(context, options),
  }),
  command({
    name: 'scaffold',
    summary: 'Write the files of a new environment into a folder',
    options: { ...ENVIRONMENT_NAME, ...DIRECTORY, ...METADATA_FILE },
    examples: [
      { line: 'aksml environment scaffold -n sklearn -d ./sklearn', what: 'Edit the files, then register the folder' },
    ],
    run: async (context, options) => (await actions()).scaffoldEnvironment(context, options),
  }),
  command({
    name: 'register',
    summary: 'Register the environment of a folder as its next version',
    options: { ...DIRECTORY, ...METADATA_FILE },
    examples: [
      { line: 'aksml environment register -d ./sklearn', what: 'The name is in its azureml_environment.json' },
    ],
    run: async (context, options) => (await actions()).registerEnvironment(context, options),
  }),
  command({
    name: 'download',
    summary: 'Write the files of an environment into a folder',
    options: {
      ...ENVIRONMENT_NAME,
      ...VERSION,
      ...DIRECTORY,
      overwrite: flag({ help: 'Replace files that are there.' }),
      ...METADATA_FILE,
    },
    examples: [
      { line: 'aksml environment download -n sklearn -d ./sklearn', what: 'To change it and register it again' },
    ],
    run: async (context, options) => (await actions()).downloadEnvironment(context, options),
  }),
];
