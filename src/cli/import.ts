import { type Command, command } from './command.ts';
import { flag, text } from './option.ts';

export const IMPORT_COMMANDS: readonly Command[] = [
  command({
    name: '',
    summary: 'Turn v2 endpoint and deployment files into configuration files',
    description:
      'Reads endpoint.yml and deployment.yml of Azure Machine Learning v2 (Kubernetes and managed online) and writes what "model deploy" reads.',
    options: {
      deployment: text({
        positional: true,
        required: true,
        placeholder: 'DEPLOYMENT.yml',
        completes: 'file',
        help: 'Deployment of v2.',
      }),
      endpointFile: text({ completes: 'file', help: 'Endpoint of v2 that the deployment belongs to.' }),
      inferenceConfigFile: text({
        aliases: ['ic'],
        completes: 'file',
        help: 'Where to write the inference configuration. Default: inferenceconfig.json.',
      }),
      deployConfigFile: text({
        aliases: ['dc'],
        completes: 'file',
        help: 'Where to write the deployment configuration. Default: deploymentconfig.json.',
      }),
      overwrite: flag({ help: 'Replace files that are there.' }),
    },
    examples: [
      { line: 'aksml import deployment.yml --endpoint-file endpoint.yml', what: 'A deployment with its endpoint' },
    ],
    run: async (context, options) => (await import('./import-actions.ts')).importV2(context, options),
  }),
];
