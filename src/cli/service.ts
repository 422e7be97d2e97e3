import { type Command, command } from './command.ts';
import {
  ADDED_LABELS,
  APP_INSIGHTS,
  AUTHENTICATION,
  BUILDING,
  CONFIRMATION,
  FRONT_END,
  INFERENCE,
  KEYS_OF_UPDATE,
  LEGACY_INFERENCE,
  LOG_QUERY,
  MODELS,
  NAME,
  PORT,
  REGENERATE,
  RUN_REQUEST,
  VERSION_NAME,
  VERSION_SETTINGS,
  WAITING,
  WITHOUT_EFFECT,
} from './deploy-options.ts';
import { boolean, filters, flag, integer, text } from './option.ts';

const actions = () => import('./service-actions.ts');
const changes = () => import('./change-actions.ts');
const revisions = () => import('./revision-actions.ts');

export const LIST_FILTERS = {
  computeTarget: text({
    aliases: ['ct'],
    placeholder: 'NAME',
    completes: 'computeTarget',
    help: 'Only those on this compute target.',
  }),
  computeType: text({
    aliases: ['c'],
    placeholder: 'TYPE',
    help: 'Only those of this compute type: aks, aksendpoint or local.',
  }),
  modelId: text({ placeholder: 'NAME:VERSION', completes: 'model', help: 'Only those that serve this model.' }),
  modelName: text({ placeholder: 'NAME', help: 'Only those that serve a model of this name.' }),
  property: filters({ help: 'Only those with this property.' }),
  tag: filters({ help: 'Only those with this tag.' }),
};

const REVISION = {
  to: integer({ placeholder: 'REVISION', help: 'Number of the revision. Default: the one before the present one.' }),
};

export const SERVICE_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List services',
    options: { ...LIST_FILTERS, imageDigest: text({ placeholder: 'DIGEST', help: 'Only those that run this image.' }) },
    examples: [
      { line: 'aksml service list', what: 'All services' },
      {
        line: 'aksml service list --model-name diabetes --query "[].scoringUri" -o tsv',
        what: 'The scoring URIs of those that serve a model',
      },
    ],
    run: async (context, options) => (await actions()).listServices(context, 'service', options),
  }),
  command({
    name: 'show',
    summary: 'Show a service',
    description: 'With -o yaml it prints the Endpoint resource, which can be applied elsewhere.',
    options: NAME,
    examples: [
      { line: 'aksml service show -n diabetes', what: 'State, URIs, models, replicas' },
      { line: 'aksml service show -n diabetes --query scoringUri -o tsv', what: 'For a script' },
    ],
    run: async (context, options) => (await actions()).showService(context, options),
  }),
  command({
    name: 'run',
    summary: 'Score a request',
    options: { ...NAME, ...RUN_REQUEST },
    examples: [
      { line: 'aksml service run -n diabetes -d \'{"data": [[1, 2, 3]]}\'', what: 'A body on the command line' },
      { line: 'aksml service run -n diabetes -d @input.json', what: 'A body from a file' },
    ],
    run: async (context, options) => (await actions()).runService(context, options),
  }),
  command({
    name: 'update',
    summary: 'Change a service; what is not given stays',
    options: {
      ...NAME,
      ...MODELS,
      ...INFERENCE,
      ...LEGACY_INFERENCE,
      ...VERSION_SETTINGS,
      ...AUTHENTICATION,
      ...FRONT_END,
      ...APP_INSIGHTS,
      ...PORT,
      ...ADDED_LABELS,
      description: text({ aliases: ['d'], help: 'Description of the service.' }),
      ...BUILDING,
      ...WAITING,
      ...KEYS_OF_UPDATE,
      ...WITHOUT_EFFECT,
      isMigration: boolean({
        effect: {
          kind: 'refused',
          reason: 'a service stays where it is; deploy it to the other compute target instead',
        },
        help: 'Move to another compute target.',
      }),
    },
    examples: [
      { line: 'aksml service update -n diabetes -m diabetes:2', what: 'A newer model, the same code' },
      { line: 'aksml service update -n diabetes -ic inferenceconfig.json', what: 'Newer code' },
      { line: 'aksml service update -n diabetes --nr 3', what: 'Three replicas' },
    ],
    run: async (context, options) => (await changes()).updateService(context, options),
  }),
  command({
    name: 'delete',
    summary: 'Delete a service',
    options: { ...NAME, ...CONFIRMATION },
    examples: [{ line: 'aksml service delete -n diabetes', what: 'Stops its replicas and removes it' }],
    run: async (context, options) => (await actions()).deleteService(context, options, 'service'),
  }),
  command({
    name: 'get-logs',
    summary: 'Print the log of a service',
    options: { ...NAME, ...LOG_QUERY },
    examples: [
      { line: 'aksml service get-logs -n diabetes -f', what: 'Follow it' },
      { line: 'aksml service get-logs -n diabetes --num_lines 100 --grep Traceback', what: 'Look for errors' },
    ],
    run: async (context, options) => (await actions()).printLogs(context, options),
  }),
  command({
    name: 'get-keys',
    summary: 'Print the keys of a service',
    options: NAME,
    examples: [{ line: 'aksml service get-keys -n diabetes --query primaryKey -o tsv', what: 'For a script' }],
    run: async (context, options) => (await actions()).getKeys(context, options),
  }),
  command({
    name: 'regen-key',
    summary: 'Replace one of the two keys; the other stays valid',
    options: { ...NAME, ...REGENERATE },
    examples: [
      { line: 'aksml service regen-key -n diabetes -k Secondary', what: 'A random key' },
      { line: 'aksml service regen-key -n diabetes -k Primary -s @key.txt', what: 'A key of your own' },
    ],
    run: async (context, options) => (await actions()).regenerateKey(context, options),
  }),
  command({
    name: 'revoke-tokens',
    summary: 'Make all tokens of a service invalid',
    options: { ...NAME, ...CONFIRMATION },
    examples: [{ line: 'aksml service revoke-tokens -n diabetes', what: 'Callers need new ones' }],
    run: async (context, options) => (await actions()).revokeTokens(context, options),
  }),
  command({
    name: 'get-access-token',
    summary: 'Print a token for a service with token authentication',
    options: NAME,
    examples: [{ line: 'aksml service get-access-token -n diabetes --query accessToken -o tsv', what: 'For a script' }],
    run: async (context, options) => (await actions()).getAccessToken(context, options),
  }),
  command({
    name: 'history',
    summary: 'Who deployed what, and when',
    options: { ...NAME, ...VERSION_NAME },
    examples: [{ line: 'aksml service history -n diabetes', what: 'Newest first' }],
    run: async (context, options) => (await revisions()).showHistory(context, options),
  }),
  command({
    name: 'diff',
    summary: 'Compare two revisions, or a revision with the working tree',
    options: {
      from: text({
        positional: true,
        placeholder: 'REVISION',
        help: 'A revision. Default: the one before, or, against a folder, the present one.',
      }),
      to: text({
        positional: true,
        placeholder: 'REVISION|FOLDER',
        help: 'A revision, or a folder with the code as it is now. Default: the present revision.',
      }),
      ...NAME,
      ...VERSION_NAME,
    },
    examples: [
      { line: 'aksml service diff 3 4 -n diabetes', what: 'Two revisions' },
      { line: 'aksml service diff 4 ./source -n diabetes', what: 'What a deploy of this folder would change' },
    ],
    run: async (context, options) => (await revisions()).showDiff(context, options),
  }),
  command({
    name: 'rollback',
    summary: 'Deploy an earlier revision again',
    options: { ...NAME, ...VERSION_NAME, ...REVISION, ...WAITING },
    examples: [
      { line: 'aksml service rollback -n diabetes', what: 'To the revision before' },
      { line: 'aksml service rollback -n diabetes --to 3', what: 'To a certain one' },
    ],
    run: async (context, options) => (await revisions()).rollBack(context, options),
  }),
  command({
    name: 'checkout',
    summary: 'Write the code of a revision into a folder',
    options: {
      revision: integer({ positional: true, required: true, placeholder: 'REVISION', help: 'Number of the revision.' }),
      folder: text({
        positional: true,
        required: true,
        placeholder: 'FOLDER',
        completes: 'folder',
        help: 'A new or empty folder.',
      }),
      overwrite: flag({ help: 'Replace files of the same names; others stay.' }),
      ...NAME,
      ...VERSION_NAME,
    },
    examples: [{ line: 'aksml service checkout 3 ./deployed -n diabetes', what: 'What revision 3 ran' }],
    run: async (context, options) => (await revisions()).checkOut(context, options),
  }),
];
