import { AGENT_TOOLS, inputSchemaOf } from '../../agent/agent.ts';
import { MODEL_EXTENSIONS, TOLD_BY_CONTENT } from '../../contract/proposal.ts';
import { CONFIGURATION_GLOBS } from '../languages/documents.ts';
import { PROBLEM_MATCHER } from '../tasks/task-lines.ts';
import { type Contributions, text } from './contribution.ts';

const TRUSTED = 'isWorkspaceTrusted';
const CONFIGURATION = 'resourceFilename =~ /(inference|deploy(ment)?)[-_]?config[^/]*\\.(json|ya?ml)$/i';
const INFERENCE = 'resourceFilename =~ /inference[-_]?config[^/]*\\.(json|ya?ml)$/i';

const V2_DEPLOYMENT = 'resourceFilename =~ /^(?!.*config).*deployment.*\\.ya?ml$/i';

/** Told by its name alone, or listed by `models/model-files.ts`. */
const MODEL = [
  `resourceExtname =~ /^\\.(${MODEL_EXTENSIONS.filter((extension) => !TOLD_BY_CONTENT.includes(extension))
    .map((extension) => extension.slice(1))
    .join('|')})$/i`,
  'resourcePath in aksml.modelPaths',
].join(' || ');

/** The menus of the Explorer, and what VS Code knows of the files of a project. */
export const PROJECT_FILES: Contributions = {
  commands: [
    {
      id: 'aksml.endpoint.debug',
      title: 'Debug Endpoint Locally…',
      icon: 'debug-alt',
      enablement: `${TRUSTED} && workspaceFolderCount > 0`,
      menus: [{ menu: 'explorer/context', when: `${TRUSTED} && ${INFERENCE}`, group: '2_aksml@4' }],
    },
    {
      id: 'aksml.configuration.import',
      title: 'Import v2 Deployment…',
      enablement: `${TRUSTED} && workspaceFolderCount > 0`,
      menus: [{ menu: 'explorer/context', when: `${TRUSTED} && ${V2_DEPLOYMENT}`, group: '2_aksml@5' }],
    },
  ],
  // Menus ask for models that only their content tells.
  activationEvents: ['onStartupFinished'],
  points: {
    menus: {
      'explorer/context': [
        {
          command: 'aksml.endpoint.deploy',
          when: `${TRUSTED} && (${MODEL} || ${CONFIGURATION})`,
          group: '2_aksml@1',
        },
        { command: 'aksml.model.register', when: `${TRUSTED} && (${MODEL})`, group: '2_aksml@3' },
      ],
    },
    languages: [
      {
        id: 'amlignore',
        aliases: [text('language.amlignore', 'Azure ML Ignore')],
        filenames: ['.amlignore'],
        configuration: 'media/amlignore-language.json',
      },
    ],
    grammars: [{ language: 'amlignore', scopeName: 'source.amlignore', path: 'media/amlignore-grammar.json' }],
    jsonValidation: Object.entries(CONFIGURATION_GLOBS).map(([kind, globs]) => ({
      fileMatch: globs,
      url: `./dist/${kind}.schema.json`,
    })),
    taskDefinitions: [
      {
        type: 'aksml',
        required: ['name'],
        properties: {
          name: { type: 'string', description: text('task.name', 'Name of the service; it is replaced if it exists.') },
          models: {
            type: 'array',
            items: { type: 'string' },
            description: text('task.models', 'Registered models, as NAME:VERSION or NAME.'),
          },
          inferenceConfig: { type: 'string', description: text('task.inference', 'Path of inferenceconfig.json.') },
          deploymentConfig: { type: 'string', description: text('task.deployment', 'Path of deploymentconfig.json.') },
          target: { type: 'string', description: text('task.target', 'Compute target; else the one of the settings.') },
        },
      },
    ],
    problemMatchers: [PROBLEM_MATCHER],
    languageModelTools: AGENT_TOOLS.map((tool) => ({
      name: tool.name,
      displayName: text(`tool.${tool.name}`, tool.title),
      modelDescription: tool.description,
      toolReferenceName: tool.name.replace(/^aksml_/, 'aksml-'),
      canBeReferencedInPrompt: true,
      userDescription: text(`tool.${tool.name}.user`, tool.title),
      inputSchema: inputSchemaOf(tool),
    })),
  },
};
