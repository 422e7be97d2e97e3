import type { CommandHandler } from '../aksml-window.ts';

type Load = () => Promise<CommandHandler>;

const cluster = () => import('./cluster.ts');
const endpoint = () => import('./endpoint.ts');
const access = () => import('./endpoint-copy.ts');
const form = () => import('../forms/forms.ts');
const environment = () => import('./environment.ts');
const log = () => import('./log.ts');
const model = () => import('./model.ts');
const revision = () => import('./revision.ts');
const tree = () => import('./tree.ts');
const version = () => import('./version.ts');
const workspace = () => import('./workspace.ts');

/** What every contributed command does, loaded when it is called. A new command is a line here and one in `contributions/`. */
export const HANDLERS: Readonly<Record<string, Load>> = {
  'aksml.workspace.select': async () => (await workspace()).selectWorkspace,
  'aksml.workspace.create': async () => (await workspace()).createWorkspace,
  'aksml.workspace.attachFolder': async () => (await workspace()).attachFolder,
  'aksml.workspace.openFile': async () => (await workspace()).openWorkspaceFile,
  'aksml.workspace.delete': async () => (await workspace()).deleteWorkspace,

  'aksml.cluster.attach': async () => (await form()).openAttach,
  'aksml.cluster.detach': async () => (await cluster()).detachCluster,
  'aksml.cluster.secure': async () => (await cluster()).changeHttps,
  'aksml.cluster.changeFrontEnd': async () => (await import('./front-end.ts')).changeFrontEnd,
  'aksml.cluster.saveKubeconfig': async () => (await cluster()).saveKubeconfig,
  'aksml.cluster.openPortal': async () => (await cluster()).openPortal,
  'aksml.target.use': async () => (await cluster()).useTarget,
  'aksml.local.start': async () => (await cluster()).startLocal,
  'aksml.local.stop': async () => (await cluster()).stopLocal,
  'aksml.local.showLog': async () => (await cluster()).showLocalLog,
  'aksml.garbage.collect': async () => (await cluster()).collectGarbage,

  'aksml.model.register': async () => (await form()).openRegister,
  'aksml.model.refresh': async () => (await model()).refreshContent,
  'aksml.model.edit': async () => (await model()).editModel,
  'aksml.model.download': async () => (await model()).downloadModel,
  'aksml.model.package': async () => (await model()).packageModel,
  'aksml.model.profile': async () => (await model()).profileModel,
  'aksml.model.copyId': async () => (await model()).copyModelId,
  'aksml.model.delete': async () => (await model()).deleteModels,

  'aksml.environment.scaffold': async () => (await environment()).scaffoldEnvironment,
  'aksml.environment.register': async () => (await environment()).registerEnvironment,
  'aksml.environment.refresh': async () => (await model()).refreshContent,
  'aksml.environment.show': async () => (await environment()).showEnvironment,
  'aksml.environment.download': async () => (await environment()).downloadEnvironment,
  'aksml.environment.copyId': async () => (await environment()).copyEnvironmentId,

  'aksml.endpoint.deploy': async () => (await form()).openDeploy,
  'aksml.endpoint.open': async () => (await form()).openEndpoint,
  'aksml.endpoint.test': async () => (await form()).openTest,
  'aksml.endpoint.rollout': async () => (await form()).openRollout,
  'aksml.endpoint.keys': async () => (await form()).openKeys,
  'aksml.endpoint.logs': async () => (await log()).streamLogs,
  'aksml.endpoint.showCause': async () => (await log()).showCause,
  'aksml.endpoint.openSwagger': async () => (await endpoint()).openSwagger,
  'aksml.endpoint.update': async () => (await endpoint()).updateEndpoint,
  'aksml.endpoint.scale': async () => (await version()).scaleVersion,
  'aksml.endpoint.edit': async () => (await endpoint()).editEndpoint,
  'aksml.endpoint.authenticate': async () => (await endpoint()).changeAuthentication,
  'aksml.endpoint.regenerateKey': async () => (await endpoint()).regenerateKey,
  'aksml.endpoint.revokeTokens': async () => (await endpoint()).revokeTokens,
  'aksml.endpoint.delete': async () => (await endpoint()).deleteEndpoints,
  'aksml.endpoint.copyUri': async () => (await access()).copyUri,
  'aksml.endpoint.copyName': async () => (await access()).copyName,
  'aksml.endpoint.copyCurl': async () => (await access()).copyCurl,
  'aksml.endpoint.copyPython': async () => (await access()).copyPython,
  'aksml.endpoint.copyCSharp': async () => (await access()).copyCSharp,

  'aksml.endpoint.debug': async () => (await import('../debug/debug-endpoint.ts')).debugEndpoint,

  'aksml.version.create': async () => (await version()).createVersion,
  'aksml.version.makeDefault': async () => (await version()).makeDefault,
  'aksml.version.delete': async () => (await version()).deleteVersion,

  'aksml.revision.compareFolder': async () => (await revision()).compareWithFolder,
  'aksml.revision.comparePrevious': async () => (await revision()).compareWithPrevious,
  'aksml.revision.checkOut': async () => (await revision()).checkOut,
  'aksml.revision.rollBack': async () => (await revision()).rollBack,

  'aksml.log.filter': async () => (await log()).filterLog,
  'aksml.log.pause': async () => (await log()).pauseLog,
  'aksml.log.resume': async () => (await log()).resumeLog,
  'aksml.log.save': async () => (await log()).saveLog,
  'aksml.log.stop': async () => (await log()).stopLog,
  'aksml.log.manage': async () => (await log()).manageLogs,

  'aksml.engine.restart': async () => (await tree()).restartEngine,
  'aksml.engine.showLog': async () => (await tree()).showOutput,
  'aksml.tree.refresh': async () => (await tree()).refreshTree,
  'aksml.tree.retry': async () => (await tree()).refreshTree,
  'aksml.tree.showError': async () => (await tree()).showNodeError,
  'aksml.tree.more': async () => (await tree()).showMore,
  'aksml.tree.delete': async () => (await tree()).deleteSelected,
  'aksml.tree.reveal': async () => (await tree()).revealEndpoint,
  'aksml.configuration.openForm': async () => (await form()).openConfigurationForm,
  'aksml.configuration.openAsText': async () => (await form()).openConfigurationText,
  'aksml.configuration.import': async () => (await import('./import.ts')).importDeployment,
  'aksml.configuration.validate': async () => (await tree()).validateConfiguration,
};
