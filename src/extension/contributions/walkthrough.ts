import { type Contributions, type Text, text } from './contribution.ts';

const drawing = (name: string, altText: Text) => ({ svg: `media/walkthrough/${name}.svg`, altText });

const picture = (name: string, altText: Text) => {
  const [dark, light] = [`media/pictures/${name}-dark.png`, `media/pictures/${name}-light.png`];
  return { image: { dark, light, hc: dark, hcLight: light }, altText };
};

export const WALKTHROUGH: Contributions = {
  points: {
    walkthroughs: [
      {
        id: 'aksml.start',
        title: text('walkthrough.title', 'Deploy a Model'),
        description: text(
          'walkthrough.description',
          'From a model file to a scoring URI, on this machine or on a cluster.',
        ),
        steps: [
          {
            id: 'open',
            title: text('walkthrough.open.title', 'Open a project'),
            description: text(
              'walkthrough.open.description',
              'A folder with a model file, and perhaps a scoring script and the configuration files of Azure Machine Learning v1. What is missing is made for you.\n[Open Folder](command:vscode.openFolder)',
            ),
            media: drawing('open', text('walkthrough.open.alt', 'A model file in the Explorer')),
            completionEvents: ['onContext:workspaceFolderCount > 0'],
          },
          {
            id: 'deploy',
            title: text('walkthrough.deploy.title', 'Deploy it'),
            description: text(
              'walkthrough.deploy.description',
              'Right-click the model and choose Deploy. Without a cluster it runs on this machine.\n[Deploy](command:aksml.endpoint.deploy)',
            ),
            media: picture('deploy', text('walkthrough.deploy.alt', 'The form of a deployment, with its plan')),
            completionEvents: ['onCommand:aksml.endpoint.deploy'],
          },
          {
            id: 'test',
            title: text('walkthrough.test.title', 'Send it a request'),
            description: text(
              'walkthrough.test.description',
              'The test form knows what the model expects, and shows what it answers and how long that took.\n[Test](command:aksml.endpoint.test)',
            ),
            media: picture('test', text('walkthrough.test.alt', 'A request and its answer')),
            completionEvents: ['onCommand:aksml.endpoint.test'],
          },
          {
            id: 'cluster',
            title: text('walkthrough.cluster.title', 'Attach your cluster'),
            description: text(
              'walkthrough.cluster.description',
              'Any Kubernetes that your kubeconfig knows. Endpoints on it keep running when this laptop is closed.\n[Attach Cluster](command:aksml.cluster.attach)',
            ),
            media: picture('cluster', text('walkthrough.cluster.alt', 'The form that attaches a cluster')),
            completionEvents: ['onCommand:aksml.cluster.attach'],
          },
          {
            id: 'rollout',
            title: text('walkthrough.rollout.title', 'Roll out the next version'),
            description: text(
              'walkthrough.rollout.description',
              'Give a new version a few percent of the traffic, see how it does, then all of it, or roll back with one click.\n[Roll Out](command:aksml.endpoint.rollout)',
            ),
            media: picture('rollout', text('walkthrough.rollout.alt', 'Two versions share the traffic')),
            completionEvents: ['onCommand:aksml.endpoint.rollout'],
          },
        ],
      },
    ],
  },
};
