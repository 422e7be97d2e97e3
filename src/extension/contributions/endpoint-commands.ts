import { type CommandContribution, type Contributions, onNode, TREE_VIEW } from './contribution.ts';

const TRUSTED = 'isWorkspaceTrusted';

const ENDPOINT_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.endpoint.deploy',
    title: 'Deploy…',
    icon: 'rocket',
    enablement: TRUSTED,
    menus: [
      { menu: 'view/title', when: `view == ${TREE_VIEW}`, group: 'navigation@1' },
      onNode('group.endpoints', 'inline@1'),
      onNode('group.endpoints', '1_open@1'),
      onNode('model', 'inline@1'),
      onNode('model', '1_open@1'),
      onNode('modelName', 'inline@1'),
      onNode('modelName', '1_open@1'),
      onNode('target', 'inline@2'),
    ],
  },
  {
    id: 'aksml.endpoint.open',
    title: 'Open Endpoint',
    icon: 'open-preview',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '1_open@1')],
  },
  {
    id: 'aksml.endpoint.test',
    title: 'Test Endpoint…',
    icon: 'beaker',
    enablement: TRUSTED,
    menus: [onNode('endpoint', 'inline@1'), onNode('endpoint', '1_open@2'), onNode('version', '1_open@2')],
  },
  {
    id: 'aksml.endpoint.logs',
    title: 'Stream Logs',
    icon: 'output',
    enablement: TRUSTED,
    menus: [
      onNode('endpoint', 'inline@2'),
      onNode('endpoint', '1_open@3'),
      onNode('version', 'inline@1'),
      onNode('version', '1_open@1'),
      onNode('replica', 'inline@1'),
      onNode('replica', '1_open@1'),
    ],
  },
  {
    id: 'aksml.endpoint.showCause',
    title: 'Show Cause of the Failure',
    icon: 'go-to-file',
    enablement: TRUSTED,
    menus: [
      onNode('cause', 'inline@1'),
      onNode('endpoint', '1_open@4', 'failing'),
      onNode('version', '1_open@4', 'failing'),
      onNode('replica', '1_open@4', 'failing'),
    ],
  },
  {
    id: 'aksml.endpoint.openSwagger',
    title: 'Open OpenAPI Document',
    icon: 'json',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '1_open@5')],
  },
  {
    id: 'aksml.endpoint.update',
    title: 'Update Endpoint…',
    icon: 'cloud-upload',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@1'), onNode('version', '2_change@1')],
  },
  {
    id: 'aksml.endpoint.rollout',
    title: 'Roll Out Traffic…',
    icon: 'git-compare',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@2', 'several')],
  },
  {
    id: 'aksml.endpoint.scale',
    title: 'Scale…',
    icon: 'unfold',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@3', 'single'), onNode('version', '2_change@3')],
  },
  {
    id: 'aksml.endpoint.edit',
    title: 'Edit Description and Tags of Endpoint…',
    icon: 'tag',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@4')],
  },
  {
    id: 'aksml.endpoint.authenticate',
    title: 'Change Authentication…',
    icon: 'shield',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@5', 'remoteForm')],
  },
  {
    id: 'aksml.endpoint.keys',
    title: 'Keys and Tokens…',
    icon: 'key',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@6', 'secured')],
  },
  {
    id: 'aksml.endpoint.regenerateKey',
    title: 'Regenerate Key…',
    icon: 'sync',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@7', 'key')],
  },
  {
    id: 'aksml.endpoint.revokeTokens',
    title: 'Revoke All Tokens…',
    icon: 'circle-slash',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@8', 'token', 'onCluster')],
  },
  {
    id: 'aksml.endpoint.copyUri',
    title: 'Copy Scoring URI',
    icon: 'link',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '3_copy@1')],
  },
  {
    id: 'aksml.endpoint.copyName',
    title: 'Copy Endpoint Name',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '3_copy@2')],
  },
  {
    id: 'aksml.endpoint.copyCurl',
    title: 'Copy as curl',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '3_copy@3')],
  },
  {
    id: 'aksml.endpoint.copyPython',
    title: 'Copy as Python Client',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '3_copy@4')],
  },
  {
    id: 'aksml.endpoint.copyCSharp',
    title: 'Copy as C# Client',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '3_copy@5')],
  },
  {
    id: 'aksml.endpoint.delete',
    title: 'Delete Endpoint…',
    icon: 'trash',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '7_delete')],
  },
];

const VERSION_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.version.create',
    title: 'Add Version…',
    icon: 'add',
    enablement: TRUSTED,
    menus: [onNode('endpoint', '2_change@0', 'several')],
  },
  {
    id: 'aksml.version.makeDefault',
    title: 'Make Version the Default',
    icon: 'star-full',
    enablement: TRUSTED,
    menus: [onNode('version', '2_change@4', 'treatable')],
  },
  {
    id: 'aksml.version.delete',
    title: 'Delete Version…',
    icon: 'trash',
    enablement: TRUSTED,
    menus: [onNode('version', '7_delete', 'treatable')],
  },
];

const REVISION_COMMANDS: readonly CommandContribution[] = [
  {
    id: 'aksml.revision.compareFolder',
    title: 'Compare Revision with Working Tree',
    icon: 'diff',
    enablement: TRUSTED,
    menus: [onNode('revision', 'inline@1', 'code'), onNode('revision', '1_open@1', 'code')],
  },
  {
    id: 'aksml.revision.comparePrevious',
    title: 'Compare Revision with the One Before',
    icon: 'diff-multiple',
    enablement: TRUSTED,
    menus: [onNode('revision', '1_open@2', 'later')],
  },
  {
    id: 'aksml.revision.checkOut',
    title: 'Check Out Code of Revision…',
    icon: 'folder-opened',
    enablement: TRUSTED,
    menus: [onNode('revision', '1_open@3', 'code')],
  },
  {
    id: 'aksml.revision.rollBack',
    title: 'Roll Back to Revision…',
    icon: 'discard',
    enablement: TRUSTED,
    menus: [onNode('revision', 'inline@2', 'past'), onNode('revision', '2_change@1', 'past')],
  },
];

export const ENDPOINT_CONTRIBUTIONS: Contributions = {
  commands: [...ENDPOINT_COMMANDS, ...VERSION_COMMANDS, ...REVISION_COMMANDS],
};
