import { type Command, command } from './command.ts';
import { CONFIRMATION } from './deploy-options.ts';
import { METADATA_FILE } from './metadata-file.ts';
import { boolean, type Effect, flag, text } from './option.ts';

const actions = () => import('./workspace-actions.ts');

const AZURE_RESOURCE: Effect = { kind: 'noEffect', reason: 'a workspace here needs no resources of Azure' };

const OF_AZURE = {
  yes: flag({ aliases: ['y'], effect: { kind: 'noEffect', reason: 'nothing is asked' }, help: 'Do not ask.' }),
  location: text({ aliases: ['l'], placeholder: 'REGION', effect: AZURE_RESOURCE, help: 'Region.' }),
  friendlyName: text({ aliases: ['f'], placeholder: 'NAME', effect: AZURE_RESOURCE, help: 'Name to show.' }),
  keyvault: text({ placeholder: 'ID', effect: AZURE_RESOURCE, help: 'Key vault.' }),
  storageAccount: text({ placeholder: 'ID', effect: AZURE_RESOURCE, help: 'Storage account.' }),
  applicationInsights: text({ placeholder: 'ID', effect: AZURE_RESOURCE, help: 'Application Insights.' }),
  containerRegistry: text({
    placeholder: 'ID',
    effect: { kind: 'refused', reason: 'a registry is named by its host: --registry HOST/PREFIX' },
    help: 'Container registry.',
  }),
  sku: text({ placeholder: 'SKU', effect: AZURE_RESOURCE, help: 'Edition.' }),
  hbiWorkspace: flag({ effect: AZURE_RESOURCE, help: 'For data of high business impact.' }),
  v1LegacyMode: boolean({ effect: AZURE_RESOURCE, help: 'Only the v1 interface.' }),
};

export const WORKSPACE_COMMANDS: readonly Command[] = [
  command({
    name: 'create',
    summary: 'Make a workspace on this machine',
    description:
      'Its models, environments and deployments are kept in a folder, or in a container registry that several machines share. No command needs a workspace to be made first: one that a project names is made on first use.',
    options: {
      registry: text({
        placeholder: 'HOST/PREFIX',
        help: 'Keep the content in this registry instead of a folder.',
      }),
      globalRegistry: text({
        placeholder: 'HOST/PREFIX',
        help: 'Take environment images that are in this registry over from it, instead of building them.',
      }),
      existOk: flag({ help: 'Take the one that is there, if there is one.' }),
      ...METADATA_FILE,
      ...OF_AZURE,
    },
    examples: [
      { line: 'aksml workspace create -w team', what: 'On this machine' },
      { line: 'aksml workspace create -w team --registry registry.example.com/team', what: 'In a registry' },
      {
        line: 'aksml workspace create -w team --registry registry.example.com/team --global-registry registry.example.com/all',
        what: 'With environments that others have built',
      },
    ],
    run: async (context, options) => (await actions()).createWorkspace(context, options),
  }),
  command({
    name: 'delete',
    summary: 'Delete a workspace from this machine',
    description: 'What it keeps in a registry stays there.',
    options: {
      force: flag({ help: 'Delete the models, environments and deployments in it, too.' }),
      allResources: flag({ help: 'The same, as v1 called it.' }),
      noWait: flag({
        effect: { kind: 'noEffect', reason: 'it is deleted by this command itself, not by a service' },
        help: 'Do not wait.',
      }),
      ...CONFIRMATION,
    },
    examples: [{ line: 'aksml workspace delete -w team', what: 'Refused while anything is in it' }],
    run: async (context, options) => (await actions()).deleteWorkspace(context, options),
  }),
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
  command({
    name: 'list-keys',
    summary: 'Refused: a workspace on this machine has no keys',
    options: METADATA_FILE,
    examples: [{ line: 'aksml service get-keys -n diabetes', what: 'The keys of a service' }],
    run: async () => (await actions()).listKeys(),
  }),
];
