import { type Contributions, TREE_VIEW, text } from './contribution.ts';

export const VIEWS: Contributions = {
  points: {
    viewsContainers: {
      activitybar: [{ id: 'aksml', title: text('view.container', 'AKS ML'), icon: 'media/activity-bar.svg' }],
    },
    views: {
      aksml: [
        {
          id: TREE_VIEW,
          name: text('view.tree', 'Workspaces'),
          contextualTitle: text('view.container', 'AKS ML'),
          icon: 'media/activity-bar.svg',
        },
      ],
    },
    viewsWelcome: [
      {
        view: TREE_VIEW,
        when: 'isWorkspaceTrusted && workspaceFolderCount == 0',
        contents: text(
          'welcome.noFolder',
          'Open the folder of a project to deploy its models.\n[Open Folder](command:vscode.openFolder)\nOr see how a model gets its scoring URI.\n[Get Started](command:workbench.action.openWalkthrough?%22aksml.aksml%23aksml.start%22)',
        ),
      },
      {
        view: TREE_VIEW,
        when: '!isWorkspaceTrusted',
        contents: text(
          'welcome.untrusted',
          'Deploying runs code from this folder, so AKS ML waits until you trust it. Until then you can read and edit its configuration files.\n[Manage Workspace Trust](command:workbench.trust.manage)',
        ),
      },
    ],
  },
};
