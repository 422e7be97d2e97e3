import { type CommandContribution, type Contributions, onNode, TREE_VIEW } from './contribution.ts';

const TRUSTED = 'isWorkspaceTrusted';

const WORKSPACE_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.workspace.select',
    title: 'Select Workspace…',
    icon: 'folder-library',
    enablement: TRUSTED,
    menus: [onNode('workspace', '1_open@1')],
  },
  { id: 'aksml.workspace.create', title: 'Create Workspace…', icon: 'add', enablement: TRUSTED },
  {
    id: 'aksml.workspace.attachFolder',
    title: 'Tie Folder to Workspace…',
    enablement: `${TRUSTED} && workspaceFolderCount > 0`,
    menus: [onNode('workspace', '1_open@2')],
  },
  {
    id: 'aksml.workspace.openFile',
    title: 'Open Workspace File',
    icon: 'go-to-file',
    palette: false,
    menus: [onNode('workspace', '1_open@3', 'file')],
  },
  {
    id: 'aksml.workspace.delete',
    title: 'Delete Workspace…',
    icon: 'trash',
    enablement: TRUSTED,
    menus: [onNode('workspace', '7_delete')],
  },
];

const CLUSTER_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.cluster.attach',
    title: 'Attach Cluster…',
    icon: 'plug',
    enablement: TRUSTED,
    menus: [onNode('group.clusters', 'inline@1'), onNode('group.clusters', '1_open@1')],
  },
  {
    id: 'aksml.cluster.detach',
    title: 'Detach Cluster…',
    icon: 'debug-disconnect',
    enablement: TRUSTED,
    menus: [onNode('target', '7_delete', 'cluster')],
  },
  {
    id: 'aksml.target.use',
    title: 'Use as Default Target',
    icon: 'target',
    enablement: TRUSTED,
    menus: [onNode('target', '1_open@1')],
  },
  {
    id: 'aksml.cluster.secure',
    title: 'Change HTTPS…',
    icon: 'lock',
    enablement: TRUSTED,
    menus: [onNode('target', '2_change@1', 'cluster')],
  },
  {
    id: 'aksml.cluster.changeFrontEnd',
    title: 'Change Front End…',
    icon: 'settings-gear',
    enablement: TRUSTED,
    menus: [onNode('target', '2_change@2', 'cluster')],
  },
  {
    id: 'aksml.cluster.saveKubeconfig',
    title: 'Save Kubeconfig…',
    enablement: TRUSTED,
    menus: [onNode('target', '3_copy@1', 'cluster')],
  },
  {
    id: 'aksml.cluster.openPortal',
    title: 'Open in Azure Portal',
    icon: 'link-external',
    enablement: TRUSTED,
    menus: [onNode('target', '1_open@2', 'portal')],
  },
  {
    id: 'aksml.local.start',
    title: 'Start What Is Deployed on This Machine',
    icon: 'play',
    enablement: TRUSTED,
    menus: [onNode('target', 'inline@1', 'stopped')],
  },
  {
    id: 'aksml.local.stop',
    title: 'Stop What Is Deployed on This Machine…',
    icon: 'debug-stop',
    enablement: TRUSTED,
    menus: [onNode('target', '2_change@1', 'running')],
  },
  {
    id: 'aksml.local.showLog',
    title: 'Open Log of This Machine',
    icon: 'output',
    enablement: TRUSTED,
    menus: [onNode('target', '1_open@2', 'local')],
  },
  {
    id: 'aksml.garbage.collect',
    title: 'Free Space…',
    enablement: TRUSTED,
    menus: [onNode('target', '2_change@2', 'local')],
  },
];

const MODEL_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.model.register',
    title: 'Register Model…',
    icon: 'add',
    enablement: TRUSTED,
    menus: [onNode('group.models', 'inline@1'), onNode('group.models', '1_open@1')],
  },
  {
    id: 'aksml.model.refresh',
    title: 'Look for Models Now',
    icon: 'refresh',
    enablement: TRUSTED,
    menus: [onNode('group.models', 'inline@2', 'remote')],
  },
  {
    id: 'aksml.model.edit',
    title: 'Edit Description and Tags of Model…',
    icon: 'tag',
    enablement: TRUSTED,
    menus: [onNode('model', '2_change@1')],
  },
  {
    id: 'aksml.model.download',
    title: 'Download Model…',
    icon: 'cloud-download',
    enablement: TRUSTED,
    menus: [onNode('model', '1_open@2'), onNode('modelName', '1_open@2')],
  },
  {
    id: 'aksml.model.package',
    title: 'Package as Image…',
    icon: 'package',
    enablement: TRUSTED,
    menus: [onNode('model', '1_open@3'), onNode('modelName', '1_open@3')],
  },
  {
    id: 'aksml.model.profile',
    title: 'Measure What It Needs…',
    icon: 'dashboard',
    enablement: TRUSTED,
    menus: [onNode('model', '1_open@4'), onNode('modelName', '1_open@4')],
  },
  {
    id: 'aksml.model.copyId',
    title: 'Copy Model Id',
    icon: 'copy',
    enablement: TRUSTED,
    menus: [onNode('model', '3_copy@1')],
  },
  {
    id: 'aksml.model.delete',
    title: 'Delete Model…',
    icon: 'trash',
    enablement: TRUSTED,
    menus: [onNode('model', '7_delete'), onNode('modelName', '7_delete')],
  },
];

const ENVIRONMENT_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.environment.scaffold',
    title: 'Create Environment Folder…',
    icon: 'new-folder',
    enablement: TRUSTED,
    menus: [onNode('group.environments', '1_open@1')],
  },
  {
    id: 'aksml.environment.register',
    title: 'Register Environment…',
    icon: 'add',
    enablement: TRUSTED,
    menus: [onNode('group.environments', 'inline@1'), onNode('group.environments', '1_open@2')],
  },
  {
    id: 'aksml.environment.refresh',
    title: 'Look for Environments Now',
    icon: 'refresh',
    enablement: TRUSTED,
    menus: [onNode('group.environments', 'inline@2', 'remote')],
  },
  {
    id: 'aksml.environment.show',
    title: 'Show Definition of Environment',
    icon: 'json',
    enablement: TRUSTED,
    menus: [onNode('environment', '1_open@1')],
  },
  {
    id: 'aksml.environment.download',
    title: 'Download Environment…',
    icon: 'cloud-download',
    enablement: TRUSTED,
    menus: [onNode('environment', '1_open@2')],
  },
  {
    id: 'aksml.environment.copyId',
    title: 'Copy Environment Id',
    icon: 'copy',
    enablement: TRUSTED,
    menus: [onNode('environment', '3_copy@1')],
  },
];

const WINDOW_COMMANDS: readonly CommandContribution[] = [
  { id: 'aksml.engine.restart', title: 'Restart the Engine', icon: 'debug-restart', enablement: TRUSTED },
  {
    id: 'aksml.engine.showLog',
    title: 'Show Output',
    icon: 'output',
    menus: [{ menu: 'view/title', when: `view == ${TREE_VIEW}`, group: '9_output' }],
  },
  {
    id: 'aksml.tree.refresh',
    title: 'Refresh',
    icon: 'refresh',
    menus: [{ menu: 'view/title', when: `view == ${TREE_VIEW}`, group: '1_refresh' }],
  },
  {
    id: 'aksml.tree.retry',
    title: 'Try Again',
    icon: 'refresh',
    palette: false,
    menus: [onNode('error', 'inline@1')],
  },
  { id: 'aksml.tree.showError', title: 'Show Error', palette: false, menus: [onNode('error', '1_open@1')] },
  { id: 'aksml.tree.more', title: 'Show More', palette: false },
  { id: 'aksml.tree.delete', title: 'Delete…', enablement: TRUSTED, palette: false },
  { id: 'aksml.tree.reveal', title: 'Reveal Endpoint in Tree…', enablement: TRUSTED },
  {
    id: 'aksml.configuration.validate',
    title: 'Validate Deployment Configuration',
    icon: 'check-all',
    enablement: TRUSTED,
  },
];

export const COMMANDS: Contributions = {
  commands: [
    ...WORKSPACE_COMMANDS,
    ...CLUSTER_COMMANDS,
    ...MODEL_COMMANDS,
    ...ENVIRONMENT_COMMANDS,
    ...WINDOW_COMMANDS,
  ],
  points: {
    keybindings: [
      { command: 'aksml.tree.delete', key: 'delete', mac: 'cmd+backspace', when: `focusedView == ${TREE_VIEW}` },
    ],
  },
};
