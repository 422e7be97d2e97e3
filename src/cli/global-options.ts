import { choice, flag, type OptionTable, text } from './option.ts';
import { FORMATS } from './output.ts';

/** Taken by every command, as by every command of `az ml`. */
export const GLOBAL_OPTIONS = {
  output: choice(FORMATS, {
    aliases: ['o'],
    placeholder: 'FORMAT',
    help: 'Output format. Default: table at a terminal, json elsewhere.',
  }),
  query: text({
    placeholder: 'JMESPATH',
    help: 'Picks from the result before it is printed. See https://jmespath.org.',
  }),
  path: text({ placeholder: 'FOLDER', completes: 'folder', help: 'Project folder. Default: the current one.' }),
  workspaceName: text({
    aliases: ['w'],
    placeholder: 'NAME',
    help: 'Workspace. Default: the one of the project folder.',
  }),
  resourceGroup: text({ aliases: ['g'], placeholder: 'NAME', help: 'Resource group of the workspace.' }),
  subscriptionId: text({ placeholder: 'ID', help: 'Subscription of the workspace.' }),
  verbose: flag({ aliases: ['v'], help: 'Shows what tools print, too.' }),
  debug: flag({ help: 'Shows where errors come from, too.' }),
  noColor: flag({ help: 'No colours; so does the environment variable NO_COLOR.' }),
  help: flag({ aliases: ['h'], help: 'Shows help and ends.' }),
} satisfies OptionTable;

export type GlobalOptions = import('./option.ts').OptionsOf<typeof GLOBAL_OPTIONS>;
