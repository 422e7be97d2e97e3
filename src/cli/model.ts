import { type Command, command } from './command.ts';
import {
  APP_INSIGHTS,
  AUTHENTICATION,
  BUILDING,
  COMPUTE_TYPE,
  DEBUGGING,
  DRY_RUN,
  FRONT_END,
  GIVEN_KEYS,
  INFERENCE,
  LEGACY_INFERENCE,
  MODELS,
  NAME,
  PORT,
  TRAFFIC,
  V2_OPTIONS,
  VERSION_SETTINGS,
  WAITING,
  WITHOUT_EFFECT_AT_DEPLOY,
} from './deploy-options.ts';
import { METADATA_FILE } from './metadata-file.ts';
import { choice, type Effect, filters, flag, integer, number, pairs, text, texts } from './option.ts';

const actions = () => import('./model-actions.ts');

const DATASETS: Effect = { kind: 'refused', reason: 'aksml keeps no datasets, so nothing can be looked up by one' };
const RUN_OUTPUTS: Effect = {
  kind: 'refused',
  reason: 'outputs of a run stay in Azure Machine Learning; download them and register the files with --model-path',
};

const MODEL_ID = {
  modelId: text({
    aliases: ['i'],
    required: true,
    placeholder: 'NAME:VERSION',
    completes: 'model',
    help: 'Id of the model.',
  }),
};

const DEFAULT_RESOURCES = {
  cpuCores: number({ aliases: ['cc'], help: 'CPU cores of a deployment that names none.' }),
  memoryGb: number({ aliases: ['gb'], help: 'Memory in GB of a deployment that names none.' }),
  gpuCores: integer({ aliases: ['gc'], help: 'GPUs of a deployment that names none.' }),
};

const SAMPLES = {
  sampleInputDatasetId: text({ placeholder: 'ID', help: 'Recorded with the model.' }),
  sampleOutputDatasetId: text({ placeholder: 'ID', help: 'Recorded with the model.' }),
};

export const MODEL_COMMANDS: readonly Command[] = [
  command({
    name: 'register',
    summary: 'Register a file or a folder as the next version of a model',
    options: {
      name: text({ aliases: ['n'], required: true, placeholder: 'NAME', help: 'Name of the model.' }),
      modelPath: text({ aliases: ['p'], placeholder: 'PATH', completes: 'file', help: 'File or folder to register.' }),
      description: text({ aliases: ['d'], help: 'Description of the model.' }),
      modelFramework: choice(['Custom', 'TensorFlow', 'ScikitLearn', 'Onnx', 'TfKeras', 'PyTorch', 'Multi'], {
        placeholder: 'NAME',
        help: 'Framework; lets the model be deployed without a scoring script.',
      }),
      modelFrameworkVersion: text({ placeholder: 'VERSION', help: 'Version of the framework.' }),
      tag: pairs({ help: 'A tag. Tags can be changed later.' }),
      property: pairs({ help: 'A property. Properties never change.' }),
      ...DEFAULT_RESOURCES,
      ...SAMPLES,
      experimentName: text({ placeholder: 'NAME', help: 'Recorded with the model.' }),
      runId: text({ aliases: ['r'], placeholder: 'ID', help: 'Recorded with the model.' }),
      runMetadataFile: text({
        aliases: ['f'],
        completes: 'file',
        help: 'A JSON file that names the run and its experiment.',
      }),
      ...METADATA_FILE,
      assetPath: text({ placeholder: 'PATH', effect: RUN_OUTPUTS, help: 'Path among the outputs of a run.' }),
    },
    examples: [
      { line: 'aksml model register -n diabetes -p model.pkl --model-framework ScikitLearn', what: 'A file' },
      {
        line: 'aksml model register -n bert -p ./model --tag stage=test -t model.json',
        what: 'A folder; model.json names it for "model deploy -f"',
      },
    ],
    run: async (context, options) => (await actions()).registerModel(context, options),
  }),
  command({
    name: 'list',
    summary: 'List models',
    options: {
      modelName: text({ aliases: ['n'], placeholder: 'NAME', help: 'Only models of this name.' }),
      latest: flag({ aliases: ['l'], help: 'Only the latest version of each.' }),
      tag: filters({ help: 'Only those with this tag.' }),
      property: filters({ help: 'Only those with this property.' }),
      runId: text({ placeholder: 'ID', help: 'Only those that this run made.' }),
      datasetId: text({ placeholder: 'ID', effect: DATASETS, help: 'Only those made with this dataset.' }),
    },
    examples: [
      { line: 'aksml model list -l', what: 'The latest version of each model' },
      { line: 'aksml model list --tag stage=production', what: 'By tag' },
    ],
    run: async (context, options) => (await actions()).listModels(context, options),
  }),
  command({
    name: 'show',
    summary: 'Show a model',
    options: {
      modelId: text({ aliases: ['i'], placeholder: 'NAME:VERSION', completes: 'model', help: 'Id of the model.' }),
      modelName: text({ aliases: ['n'], placeholder: 'NAME', help: 'Name of the model. Default: its latest version.' }),
      version: integer({ help: 'Version of the model.' }),
      runId: text({ placeholder: 'ID', help: 'The latest one that this run made.' }),
    },
    examples: [
      { line: 'aksml model show -i diabetes:1', what: 'One version' },
      { line: 'aksml model show -n diabetes', what: 'The latest version' },
    ],
    run: async (context, options) => (await actions()).showModel(context, options),
  }),
  command({
    name: 'update',
    summary: 'Change tags, description or default resources of a model',
    options: {
      ...MODEL_ID,
      description: text({ help: 'Description of the model.' }),
      addTag: pairs({ help: 'A tag to add or to change.' }),
      removeTag: texts({ placeholder: 'KEY', help: 'A tag to remove.' }),
      addProperty: pairs({ help: 'A property to add. Properties never change.' }),
      ...DEFAULT_RESOURCES,
      ...SAMPLES,
    },
    examples: [{ line: 'aksml model update -i diabetes:1 --add-tag stage=production', what: 'Add a tag' }],
    run: async (context, options) => (await actions()).updateModel(context, options),
  }),
  command({
    name: 'delete',
    summary: 'Delete one version of a model',
    options: { ...MODEL_ID, yes: flag({ aliases: ['y'], help: 'Do not ask.' }) },
    examples: [{ line: 'aksml model delete -i diabetes:1', what: 'Refused while a service runs it' }],
    run: async (context, { modelId, yes }) => (await actions()).deleteModel(context, modelId, yes),
  }),
  command({
    name: 'download',
    summary: 'Write the files of a model into a folder',
    options: {
      ...MODEL_ID,
      targetDir: text({
        aliases: ['t'],
        required: true,
        placeholder: 'FOLDER',
        completes: 'folder',
        help: 'Folder to write to.',
      }),
      overwrite: flag({ help: 'Replace files that are there.' }),
    },
    examples: [{ line: 'aksml model download -i diabetes:1 -t ./models', what: 'Into a folder' }],
    run: async (context, options) => (await actions()).downloadModel(context, options),
  }),
  command({
    name: 'scaffold',
    summary: 'Write what a model file still lacks to be deployed: scoring script, environment, configuration',
    description:
      'Recognizes the model by its content, takes what the current folder has for it already, and never changes a file that is there.',
    options: {
      modelPath: text({
        aliases: ['p'],
        required: true,
        placeholder: 'PATH',
        completes: 'file',
        help: 'Model file or folder.',
      }),
      ...DRY_RUN,
    },
    examples: [{ line: 'aksml model scaffold -p outputs/model.pkl', what: 'A project for a trained model' }],
    run: async (context, options) => (await import('./scaffold-actions.ts')).scaffoldDeployment(context, options),
  }),
  command({
    name: 'deploy',
    summary: 'Deploy models as a service',
    description:
      'The configuration files are those of Azure Machine Learning v1; an option overrides what its file says. Every deploy is kept as a revision: see "service history".',
    options: {
      ...NAME,
      ...MODELS,
      computeTarget: text({
        aliases: ['ct'],
        placeholder: 'NAME',
        completes: 'computeTarget',
        help: 'Where it runs. Default: local, this machine.',
      }),
      description: text({ help: 'Description of the service.' }),
      tag: pairs({ help: 'A tag of the service.' }),
      property: pairs({ help: 'A property of the service. Properties never change.' }),
      overwrite: flag({ help: 'Replace what a service of this name runs.' }),
      ...WAITING,
      ...DRY_RUN,
      ...INFERENCE,
      ...LEGACY_INFERENCE,
      ...BUILDING,
      ...DEBUGGING,
      ...VERSION_SETTINGS,
      ...AUTHENTICATION,
      ...FRONT_END,
      ...GIVEN_KEYS,
      ...APP_INSIGHTS,
      ...COMPUTE_TYPE,
      ...PORT,
      ...TRAFFIC,
      versionName: text({
        aliases: ['vn'],
        placeholder: 'NAME',
        section: 'Traffic',
        help: 'First version of an endpoint. Default: the name of the endpoint.',
      }),
      namespace: text({ placeholder: 'NAME', help: 'Namespace on a cluster.' }),
      ...V2_OPTIONS,
      profileInput: text({
        aliases: ['pi'],
        completes: 'file',
        help: 'Result of "model profile"; its CPU and memory are used.',
      }),
      ...WITHOUT_EFFECT_AT_DEPLOY,
    },
    examples: [
      {
        line: 'aksml model deploy -n diabetes -m diabetes:1 -ic inferenceconfig.json -dc deploymentconfig.json',
        what: 'As in v1',
      },
      {
        line: 'aksml model deploy -n diabetes -m diabetes -ic inferenceconfig.json -dc deploymentconfig.json --overwrite',
        what: 'Again, with changed code',
      },
      {
        line: 'aksml model deploy -n iris -m iris:1 -cp aks',
        what: 'A scikit-learn, ONNX or MLflow model without a scoring script',
      },
      {
        line: 'aksml model deploy -n diabetes -m ./model.pkl -es score.py -cf conda.yml -cp local --dry-run',
        what: 'Only the plan',
      },
    ],
    run: async (context, options) => (await import('./deploy-actions.ts')).deployModels(context, options),
  }),
  command({
    name: 'profile',
    summary: 'Measure what CPU and memory a model needs',
    description:
      'Deploys the model on this machine for the time of the measurement, sends the requests of the input one after the other, and recommends CPU and memory for "model deploy".',
    options: {
      name: text({ aliases: ['n'], required: true, placeholder: 'NAME', help: 'Name of the profile.' }),
      ...MODELS,
      inputDatasetId: text({
        aliases: ['idi'],
        required: true,
        placeholder: 'FILE',
        completes: 'file',
        help: 'File with one request body a line; or a .csv with one column, or a .json array of texts. Stands for the dataset of v1.',
      }),
      cpuCores: number({ aliases: ['cc'], help: 'The most CPU to recommend, 0.1 to 3.5. Default: 3.5.' }),
      memoryInGb: number({ aliases: ['gb'], help: 'The most memory to recommend in GB, 0.1 to 15. Default: 15.' }),
      description: text({ help: 'Description of the profile.' }),
      ...METADATA_FILE,
      ...INFERENCE,
      baseImage: LEGACY_INFERENCE.baseImage,
      baseImageRegistry: LEGACY_INFERENCE.baseImageRegistry,
      ...BUILDING,
    },
    examples: [
      {
        line: 'aksml model profile -n diabetes -m diabetes:1 -ic inferenceconfig.json --idi requests.jsonl -t profile.json',
        what: 'Measure',
      },
      {
        line: 'aksml model deploy -n diabetes -m diabetes:1 -ic inferenceconfig.json -dc deploymentconfig.json --pi profile.json',
        what: 'Deploy with what it recommends',
      },
    ],
    run: async (context, options) => (await import('./profile-actions.ts')).profile(context, options),
  }),
  command({
    name: 'package',
    summary: 'Package models with their code and environment as an image or as the context to build one',
    options: {
      ...MODELS,
      ...INFERENCE,
      runtime: LEGACY_INFERENCE.runtime,
      outputPath: text({
        required: true,
        placeholder: 'PATH',
        completes: 'file',
        help: 'Where to write: a folder for a context or a layout, a file for a tar.',
      }),
      format: choice(['context', 'layout', 'tar'], {
        placeholder: 'FORMAT',
        help: 'A Dockerfile with its context (the default), or the image itself: an OCI image layout, or a tar for "docker load".',
      }),
      base: text({ placeholder: 'IMAGE', help: 'Base image instead of the one that the environment names.' }),
      imageName: text({ aliases: ['in'], placeholder: 'NAME', help: 'Name of the image.' }),
      imageLabel: text({ aliases: ['il'], placeholder: 'LABEL', help: 'Tag of the image.' }),
      noWait: flag({
        effect: { kind: 'noEffect', reason: 'the package is made by this command itself, not by a service' },
        help: 'Do not wait for the package.',
      }),
    },
    examples: [
      {
        line: 'aksml model package -m diabetes:1 -ic inferenceconfig.json --output-path ./context',
        what: 'A context for "docker build"',
      },
      {
        line: 'aksml model package -m diabetes:1 -ic inferenceconfig.json --output-path image.tar --format tar',
        what: 'An image, without Docker',
      },
    ],
    run: async (context, options) => (await import('./package-actions.ts')).packageModels(context, options),
  }),
];
