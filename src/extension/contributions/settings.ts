import type { Contributions } from './contribution.ts';

export const SETTINGS: Contributions = {
  settings: [
    {
      id: 'aksml.home',
      description:
        'Folder in which everything of AKS ML on this machine lives. Empty: the environment variable AKSML_HOME, else .aksml in your home folder.',
      scope: 'machine',
      schema: { type: 'string', default: '' },
    },
    {
      id: 'aksml.python',
      description:
        'Python to make environments with on this machine: a version such as 3.12, or the path of an interpreter. Empty: the one that the environment names.',
      scope: 'machine',
      schema: { type: 'string', default: '' },
    },
    {
      id: 'aksml.kubeconfig',
      description:
        'File with the credentials of clusters. Empty: the environment variable KUBECONFIG, else .kube/config in your home folder.',
      scope: 'machine',
      schema: { type: 'string', default: '' },
    },
    {
      id: 'aksml.workspace',
      description: 'Name of the workspace to use instead of the one that the folder names.',
      scope: 'resource',
      schema: { type: 'string', default: '' },
    },
    {
      id: 'aksml.target',
      description: 'Compute target to deploy to unless the deployment configuration names another.',
      scope: 'resource',
      schema: { type: 'string', default: 'local' },
    },
    {
      id: 'aksml.logs.destination',
      description:
        'Where the logs of endpoints are shown: in an output channel, or in a terminal with a colour for each replica.',
      scope: 'window',
      schema: { type: 'string', enum: ['output', 'terminal'], default: 'output' },
    },
    {
      id: 'aksml.logs.lines',
      description: 'How many earlier lines are shown when a log is opened.',
      scope: 'window',
      schema: { type: 'integer', minimum: 0, maximum: 100000, default: 1000 },
    },
  ],
};
