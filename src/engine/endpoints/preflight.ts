import { statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { DeploymentSpec, EffectiveSettings } from '../../contract/deployment.ts';
import { type Endpoint, MAX_MODELS_PER_DEPLOYMENT } from '../../contract/endpoint.ts';
import type { Model } from '../../contract/model.ts';
import { followsRule, SERVICE_NAME } from '../../contract/names.ts';
import { isPort } from '../../contract/port.ts';
import type { Problem } from '../../contract/problem.ts';
import type { Home } from '../../home/home.ts';
import type { Configuration } from '../config/configuration.ts';
import { noCodeFramework } from '../environments/no-code.ts';
import { type ClusterFacts, clusterProblems } from './cluster-facts.ts';
import type { ResolvedModels, UnregisteredModel } from './models.ts';

/** What the checks judge; gathered once. */
export interface PreflightFacts {
  readonly name: string;
  readonly versionName: string;
  readonly targetKind: 'local' | 'aks' | 'kubernetes';
  readonly current: Endpoint | undefined;
  readonly overwrite: boolean;
  readonly models: readonly Model[];
  /** A model was named that is not there. */
  readonly lacksModel?: boolean;
  /** Models given as paths, registered once the checks have passed. */
  readonly unregistered: readonly Pick<UnregisteredModel, 'isMlflow'>[];
  readonly configuration: Pick<Configuration, 'valid' | 'inference'>;
  readonly deployment: DeploymentSpec;
  readonly settings: EffectiveSettings;
  readonly debugPort?: number | undefined;
  /** Ports that are wanted and cannot be had, with the reason. */
  readonly closedPorts?: ReadonlyMap<number, string>;
  /** Of a target that is one. */
  readonly cluster?: ClusterFacts | undefined;
  readonly machine: MachineFacts;
}

export interface MachineFacts {
  /** Bytes. */
  readonly totalMemory: number;
  /** Of the disk that holds AKSML_HOME; absent where that cannot be known. */
  readonly disk?: { readonly home: string; readonly freeBytes: number };
}

/** What the checks judge of the models that were named. */
export function modelFacts({ registered, paths, problems }: ResolvedModels) {
  return {
    models: registered,
    unregistered: paths,
    lacksModel: problems.some(({ severity }) => severity === 'error'),
  };
}

type Check = (facts: PreflightFacts) => Problem | undefined;

export async function machineFacts({ root }: Home): Promise<MachineFacts> {
  const disk = await statfs(root).catch(() => undefined);
  return {
    totalMemory: totalmem(),
    ...(disk === undefined ? {} : { disk: { home: root, freeBytes: disk.bavail * disk.bsize } }),
  };
}

/** Every problem that can be known before anything is done. */
export function preflight(facts: PreflightFacts): Problem[] {
  const problems = CHECKS.flatMap((check) => check(facts) ?? []);
  return facts.cluster === undefined ? problems : [...problems, ...clusterProblems(facts, facts.cluster)];
}

const nameFollowsRule: Check = ({ name }) =>
  followsRule(SERVICE_NAME, name)
    ? undefined
    : {
        severity: 'error',
        code: 'serviceName.invalid',
        path: '--name',
        message: `${JSON.stringify(name)} is not a valid service name.`,
        remedy: `Use ${SERVICE_NAME.hint}.`,
      };

const versionNameFollowsRule: Check = ({ versionName, name, configuration }) =>
  versionName === name || followsRule(SERVICE_NAME, versionName) || !configuration.valid
    ? undefined
    : {
        severity: 'error',
        code: 'versionName.invalid',
        path: '--version-name',
        message: `${JSON.stringify(versionName)} is not a valid version name.`,
        remedy: `Use ${SERVICE_NAME.hint}.`,
      };

const nameIsFree: Check = ({ current, overwrite }) =>
  current === undefined || overwrite ? undefined : nameIsTaken(current);

export function nameIsTaken({ metadata, spec }: Endpoint): Problem {
  return {
    severity: 'error',
    code: 'service.exists',
    path: '--name',
    message: `The ${spec.form} ${metadata.name} already exists.`,
    remedy: 'Choose another name, or deploy with --overwrite to replace what it runs.',
  };
}

const keepsOtherVersions: Check = ({ current, versionName }) => {
  const others = current?.spec.versions.filter((version) => version.name !== versionName) ?? [];
  return others.length === 0
    ? undefined
    : {
        severity: 'error',
        code: 'endpoint.hasVersions',
        path: '--name',
        message: `${current?.metadata.name} has other versions (${others.map(({ name }) => name).join(', ')}), which this deploy would remove.`,
        remedy: 'Use "aksml endpoint realtime create-version" or "update-version", or delete the other versions first.',
      };
};

const modelsFit: Check = ({ models, unregistered }) =>
  models.length + unregistered.length <= MAX_MODELS_PER_DEPLOYMENT
    ? undefined
    : {
        severity: 'error',
        code: 'models.tooMany',
        path: '--model',
        message: `${models.length + unregistered.length} models are given, and a deployment holds at most ${MAX_MODELS_PER_DEPLOYMENT}.`,
        remedy: 'Register several files as one model folder, or deploy several services.',
      };

const modelNamedTwice: Check = ({ models }) => {
  const twice = models.find((model, index) => models.findIndex(({ id }) => id === model.id) !== index);
  return twice === undefined
    ? undefined
    : {
        severity: 'error',
        code: 'models.duplicate',
        path: '--model',
        message: `The model ${twice.id} is given twice.`,
        remedy: 'Give it once.',
      };
};

/** v1: without an inference configuration, exactly one model of a framework that it knew how to serve. */
const codeOrNoCode: Check = ({ configuration, deployment, models, unregistered, lacksModel }) => {
  const { inference, valid } = configuration;
  // What was refused is absent, too, and its own problems say why.
  if (inference !== undefined || !valid || lacksModel || deployment.container !== undefined) return undefined;
  const [model] = models;
  const [path] = unregistered;
  const isOnly = models.length + unregistered.length === 1;
  if (isOnly && (model ? noCodeFramework(model) : path?.isMlflow)) return undefined;
  return {
    severity: 'error',
    code: 'inferenceConfig.missing',
    path: '--inference-config-file',
    message:
      isOnly && model
        ? `The model ${model.id} has the framework ${model.framework}, which cannot be served without a scoring script.`
        : 'Without an inference configuration, exactly one model must be given.',
    remedy:
      'Give an inference configuration (-ic) or an entry script (-es), or register the model with --model-framework ScikitLearn, Onnx or TensorFlow.',
  };
};

const containerHasCommand: Check = ({ targetKind, deployment: { container } }) =>
  targetKind !== 'local' || container === undefined || container.command !== undefined
    ? undefined
    : {
        severity: 'error',
        code: 'container.noCommand',
        path: 'environment.image',
        message: `The compute target local runs commands, not images, so that it cannot serve ${container.image ?? 'this container'}.`,
        remedy:
          'Add inference_config.command, a list such as [python, source/server.py, "{port}"], that starts the same server here; or leave inference_config out and name a scoring script.',
      };

const GIB = 1024 ** 3;

const nothingIsMountedHere: Check = ({ targetKind, deployment: { container } }) =>
  targetKind !== 'local' || container?.modelMountPath === undefined
    ? undefined
    : {
        severity: 'warning',
        code: 'container.modelMountPath',
        path: 'model_mount_path',
        message: `On this machine the models are in AZUREML_MODEL_DIR, not in ${container.modelMountPath}.`,
        remedy: 'Let the command read AZUREML_MODEL_DIR, which on a cluster is that path.',
      };

const fitsThisMachine: Check = ({ targetKind, settings, machine }) => {
  if (targetKind !== 'local') return undefined;
  const replicas = settings.scale.kind === 'fixed' ? settings.scale.replicas : settings.scale.minReplicas;
  const wanted = replicas * settings.resources.memoryInGB * GIB;
  return wanted <= machine.totalMemory
    ? undefined
    : {
        severity: 'warning',
        code: 'memory.exceedsMachine',
        path: 'containerResourceRequirements.memoryInGB',
        message: `${replicas} replicas of ${settings.resources.memoryInGB} GB ask for more than this machine's ${(machine.totalMemory / GIB).toFixed(1)} GB.`,
        remedy: 'Lower memoryInGB or the number of replicas.',
      };
};

/** About what the environment of a large framework takes. */
const LITTLE_DISK = 5 * GIB;

/** Told, because nothing is removed unasked: what no service uses now may be what somebody rolls back to. */
const diskHasRoom: Check = ({ machine: { disk } }) =>
  disk === undefined || disk.freeBytes >= LITTLE_DISK
    ? undefined
    : {
        severity: 'warning',
        code: 'disk.low',
        message: `Only ${(disk.freeBytes / GIB).toFixed(1)} GiB are left on the disk that holds ${disk.home}.`,
        remedy: 'Remove what nothing needs any more: aksml gc (with --caches also what only saves time).',
      };

const namespaceHasNoEffect: Check = ({ targetKind, deployment }) =>
  targetKind !== 'local' || deployment.namespace === undefined
    ? undefined
    : {
        severity: 'notice',
        code: 'namespace.noEffect',
        path: 'namespace',
        message: `The namespace ${deployment.namespace} has no effect on the compute target local.`,
      };

const gpuIsNotReserved: Check = ({ targetKind, settings }) =>
  targetKind !== 'local' || settings.resources.gpu === 0
    ? undefined
    : {
        severity: 'notice',
        code: 'gpu.notReserved',
        path: 'gpuCores',
        message: `The compute target local reserves no GPU: the replicas see whatever GPUs this machine has.`,
      };

const limitsAreNotEnforced: Check = ({ targetKind, settings: { resources } }) =>
  targetKind !== 'local' || (resources.cpuLimit === undefined && resources.memoryInGBLimit === undefined)
    ? undefined
    : {
        severity: 'notice',
        code: 'limits.notEnforced',
        path: 'containerResourceRequirements',
        message: 'The compute target local limits neither CPU nor memory of a replica.',
      };

const dataIsNotCollected: Check = ({ targetKind, settings }) =>
  targetKind !== 'local' || !settings.dataCollection
    ? undefined
    : {
        severity: 'warning',
        code: 'dataCollection.noEffect',
        path: 'dataCollection.storageEnabled',
        message: 'On the compute target local no data of requests is collected.',
        remedy: 'Remove the setting, or log what you need in run().',
      };

/** Also judged of an update, by what it changes. */
export const frontEndHasNoEffect = ({
  targetKind,
  settings: { frontEnd, rollout, scale },
  deployment,
}: Pick<PreflightFacts, 'targetKind' | 'settings' | 'deployment'>): Problem | undefined => {
  if (targetKind !== 'local') return undefined;
  const wishes = {
    'frontEnd.stickiness': frontEnd?.stickiness,
    'frontEnd.requestsPerSecond': frontEnd?.rateLimit,
    'frontEnd.allowedAddresses': frontEnd?.allowedAddresses,
    'autoScaler.minReplicas 0': scale.kind === 'auto' && scale.minReplicas === 0 ? scale : undefined,
    mirrorPercentile: deployment.mirrorPercentile,
    rollout,
  };
  const [path, ...others] = Object.entries(wishes).flatMap(([name, wish]) => (wish === undefined ? [] : [name]));
  if (path === undefined) return undefined;
  const message = `On the compute target local, ${[path, ...others].join(' and ')} ${others.length > 0 ? 'have' : 'has'} no effect.`;
  return {
    severity: 'warning',
    code: 'frontEnd.noEffect',
    path,
    message,
    remedy: 'It is for clusters; leave it out here.',
  };
};

/** The scoring server itself sends to Application Insights, with this key. */
const INSIGHTS_KEY = 'AML_APP_INSIGHTS_KEY';

const insightsNeedKey: Check = ({ targetKind, settings, configuration, deployment }) => {
  if (targetKind !== 'local' || !settings.appInsightsEnabled) return undefined;
  const environment = configuration.inference?.environment;
  if (environment?.kind === 'registered') return undefined;
  const variables = { ...environment?.definition.environmentVariables, ...deployment.environmentVariables };
  return INSIGHTS_KEY in variables
    ? undefined
    : {
        severity: 'warning',
        code: 'appInsights.noKey',
        path: 'appInsightsEnabled',
        message: `Nothing is sent to Application Insights: the environment variable ${INSIGHTS_KEY} is not set.`,
        remedy: `Set it in the environment's environmentVariables, for example to \${secret:${INSIGHTS_KEY}}.`,
      };
};

const debuggedHere: Check = ({ debugPort, targetKind, configuration }) => {
  if (debugPort === undefined) return undefined;
  const isHere = targetKind === 'local';
  if (isHere && configuration.inference !== undefined) return undefined;
  return {
    severity: 'error',
    code: isHere ? 'debug.noSource' : 'debug.notLocal',
    path: '--debug-port',
    message: isHere ? 'There is no scoring script to debug.' : 'Only what runs on this machine can be debugged.',
    remedy: isHere
      ? 'Give an inference configuration with an entryScript; "aksml model scaffold" writes one.'
      : 'Deploy it to the compute target local to debug it.',
  };
};

const PORT_REMEDY = 'Choose another port, or end the program that has it.';

const debugPortCanBeHad: Check = ({ debugPort, closedPorts }) => {
  if (debugPort === undefined) return undefined;
  const isInRange = isPort(debugPort);
  const reason = closedPorts?.get(debugPort);
  if (isInRange && reason === undefined) return undefined;
  return {
    severity: 'error',
    code: isInRange ? 'debug.portTaken' : 'debug.portOutOfRange',
    path: '--debug-port',
    message: isInRange ? `Port ${debugPort} cannot be opened: ${reason}.` : `${debugPort} is no port.`,
    remedy: isInRange ? PORT_REMEDY : 'Give a number from 1 to 65535.',
  };
};

const portCanBeHad: Check = ({ deployment: { port }, closedPorts }) => {
  const reason = port === undefined ? undefined : closedPorts?.get(port);
  return reason === undefined
    ? undefined
    : {
        severity: 'error',
        code: 'port.taken',
        path: 'port',
        message: `Port ${port} cannot be opened: ${reason}.`,
        remedy: PORT_REMEDY,
      };
};

const CHECKS: readonly Check[] = [
  nameFollowsRule,
  versionNameFollowsRule,
  nameIsFree,
  keepsOtherVersions,
  modelsFit,
  modelNamedTwice,
  codeOrNoCode,
  containerHasCommand,
  nothingIsMountedHere,
  fitsThisMachine,
  diskHasRoom,
  debuggedHere,
  debugPortCanBeHad,
  portCanBeHad,
  namespaceHasNoEffect,
  gpuIsNotReserved,
  limitsAreNotEnforced,
  dataIsNotCollected,
  frontEndHasNoEffect,
  insightsNeedKey,
];
