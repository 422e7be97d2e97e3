import { type Command, command } from './command.ts';
import {
  ADDED_LABELS,
  APP_INSIGHTS,
  AUTHENTICATION,
  BUILDING,
  CONFIRMATION,
  ENDPOINT_NAME,
  FRONT_END,
  INFERENCE,
  LOG_QUERY,
  MODELS,
  REGENERATE,
  ROLLOUT,
  RUN_REQUEST,
  TRAFFIC,
  V2_OPTIONS,
  VERSION_NAME,
  VERSION_ROLE,
  VERSION_SETTINGS,
  WAITING,
} from './deploy-options.ts';
import { text } from './option.ts';
import { LIST_FILTERS } from './service.ts';

const actions = () => import('./service-actions.ts');
const changes = () => import('./change-actions.ts');

const NAMED_VERSION = {
  versionName: text({ aliases: ['vn'], required: true, placeholder: 'NAME', help: 'Version of the endpoint.' }),
};

const DESCRIPTION = { description: text({ aliases: ['d'], help: 'Description.' }) };

const VERSION_CHANGE = {
  ...ENDPOINT_NAME,
  ...NAMED_VERSION,
  ...MODELS,
  ...INFERENCE,
  ...VERSION_SETTINGS,
  ...TRAFFIC,
  ...ROLLOUT,
  ...VERSION_ROLE,
  ...ADDED_LABELS,
  ...DESCRIPTION,
  ...BUILDING,
  ...WAITING,
};

export const ENDPOINT_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List endpoints',
    options: LIST_FILTERS,
    examples: [{ line: 'aksml endpoint realtime list', what: 'All endpoints' }],
    run: async (context, options) => (await actions()).listServices(context, 'endpoint', options),
  }),
  command({
    name: 'show',
    summary: 'Show an endpoint and its versions',
    options: ENDPOINT_NAME,
    examples: [{ line: 'aksml endpoint realtime show -n credit', what: 'Versions, traffic, state' }],
    run: async (context, options) => (await actions()).showService(context, options),
  }),
  command({
    name: 'create-version',
    summary: 'Add a version to an endpoint',
    description:
      'The endpoint itself comes from "model deploy" with the compute type aksendpoint. It holds at most 6 versions.',
    options: { ...VERSION_CHANGE, ...V2_OPTIONS },
    examples: [
      {
        line: 'aksml endpoint realtime create-version -n credit -vn blue -m credit:2 -ic inferenceconfig.json -dc deploymentconfig.json --tp 10',
        what: 'With a tenth of the traffic',
      },
      {
        line: 'aksml endpoint realtime create-version -n credit -vn blue -m credit:2 -dc deploymentconfig.json --is-default true --auto-rollout 5,25,50',
        what: 'In steps to all of it, as long as requests go well',
      },
    ],
    run: async (context, options) => (await changes()).createVersion(context, options),
  }),
  command({
    name: 'update-version',
    summary: 'Change a version; what is not given stays',
    options: VERSION_CHANGE,
    examples: [
      { line: 'aksml endpoint realtime update-version -n credit -vn blue --tp 50', what: 'Half of the traffic' },
      {
        line: 'aksml endpoint realtime update-version -n credit -vn blue --is-default true',
        what: 'All unassigned traffic',
      },
    ],
    run: async (context, options) => (await changes()).updateVersion(context, options),
  }),
  command({
    name: 'delete-version',
    summary: 'Remove a version from an endpoint',
    options: { ...ENDPOINT_NAME, ...NAMED_VERSION, ...WAITING, ...CONFIRMATION },
    examples: [
      {
        line: 'aksml endpoint realtime delete-version -n credit -vn green',
        what: 'Its traffic goes to the default version',
      },
    ],
    run: async (context, options) => (await changes()).deleteVersion(context, options),
  }),
  command({
    name: 'update',
    summary: 'Change what all versions share',
    options: {
      ...ENDPOINT_NAME,
      ...AUTHENTICATION,
      ...FRONT_END,
      ...APP_INSIGHTS,
      ...ADDED_LABELS,
      ...DESCRIPTION,
      ...WAITING,
    },
    examples: [
      {
        line: 'aksml endpoint realtime update -n credit --ae false --token-auth-enabled true',
        what: 'Tokens instead of keys',
      },
    ],
    run: async (context, options) => (await changes()).updateEndpoint(context, options),
  }),
  command({
    name: 'delete',
    summary: 'Delete an endpoint with all its versions',
    options: { ...ENDPOINT_NAME, ...CONFIRMATION },
    examples: [{ line: 'aksml endpoint realtime delete -n credit', what: 'Stops all its replicas' }],
    run: async (context, options) => (await actions()).deleteService(context, options, 'endpoint'),
  }),
  command({
    name: 'run',
    summary: 'Score a request',
    options: { ...ENDPOINT_NAME, ...RUN_REQUEST, ...VERSION_NAME },
    examples: [
      { line: 'aksml endpoint realtime run -n credit -d @input.json', what: 'By the traffic split' },
      { line: 'aksml endpoint realtime run -n credit -d @input.json -vn blue', what: 'By one version' },
    ],
    run: async (context, options) => (await actions()).runService(context, options),
  }),
  command({
    name: 'get-logs',
    summary: 'Print the log of an endpoint',
    options: { ...ENDPOINT_NAME, ...LOG_QUERY, ...VERSION_NAME },
    examples: [{ line: 'aksml endpoint realtime get-logs -n credit -vn blue -f', what: 'Follow one version' }],
    run: async (context, options) => (await actions()).printLogs(context, options),
  }),
  command({
    name: 'get-keys',
    summary: 'Print the keys of an endpoint',
    options: ENDPOINT_NAME,
    examples: [{ line: 'aksml endpoint realtime get-keys -n credit', what: 'Both keys' }],
    run: async (context, options) => (await actions()).getKeys(context, options),
  }),
  command({
    name: 'regen-key',
    summary: 'Replace one of the two keys; the other stays valid',
    options: { ...ENDPOINT_NAME, ...REGENERATE },
    examples: [{ line: 'aksml endpoint realtime regen-key -n credit -k Primary', what: 'A random key' }],
    run: async (context, options) => (await actions()).regenerateKey(context, options),
  }),
  command({
    name: 'revoke-tokens',
    summary: 'Make all tokens of an endpoint invalid',
    options: { ...ENDPOINT_NAME, ...CONFIRMATION },
    examples: [{ line: 'aksml endpoint realtime revoke-tokens -n credit', what: 'Callers need new ones' }],
    run: async (context, options) => (await actions()).revokeTokens(context, options),
  }),
  command({
    name: 'get-access-token',
    summary: 'Print a token for an endpoint with token authentication',
    options: ENDPOINT_NAME,
    examples: [{ line: 'aksml endpoint realtime get-access-token -n credit', what: 'A token and when to refresh it' }],
    run: async (context, options) => (await actions()).getAccessToken(context, options),
  }),
];
