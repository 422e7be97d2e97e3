import { type Command, command } from './command.ts';
import { CONFIRMATION } from './deploy-options.ts';
import { boolean, choice, flag, integer, text, texts } from './option.ts';

const actions = () => import('./computetarget-actions.ts');
const updating = () => import('./update-target-actions.ts');
const attaching = () => import('./attach-actions.ts');

const NAME = {
  name: text({
    aliases: ['n'],
    required: true,
    placeholder: 'NAME',
    completes: 'computeTarget',
    help: 'Name of the compute target.',
  }),
};

const FRONT_END = {
  serviceType: choice(['LoadBalancer', 'NodePort', 'ClusterIP'], {
    help: 'How the front end is reached: at an address of its own, at a port of every node, or in the cluster alone. Default: LoadBalancer.',
  }),
  loadBalancerType: choice(['PublicIp', 'InternalLoadBalancer'], {
    help: 'On AKS: whether the load balancer has a public address, or one of the virtual network. Default: PublicIp.',
  }),
  loadBalancerSubnet: text({ placeholder: 'SUBNET', help: 'On AKS: where an internal load balancer has its address.' }),
  routers: integer({ help: 'Routers of the front end. Default: 3 for FastProd, 1 for DevTest.' }),
};

const TLS = {
  sslCertFile: text({ completes: 'file', placeholder: 'FILE', help: 'Certificate with its chain, PEM.' }),
  sslKeyFile: text({
    completes: 'file',
    placeholder: 'FILE',
    help: 'Private key of the certificate, PEM, without a passphrase.',
  }),
  sslCname: texts({ placeholder: 'HOST', help: 'Host name that the certificate is for; several may be given.' }),
  sslAuto: flag({
    help: 'Get the certificate, and its renewals, from an ACME server. It must reach port 80 of the host names.',
  }),
  acmeServer: text({ placeholder: 'URL', help: "Directory of the ACME server. Default: Let's Encrypt." }),
  acmeEmail: text({ placeholder: 'ADDRESS', help: 'Whom the ACME server may write to.' }),
  sslLeafDomainLabel: text({
    placeholder: 'LABEL',
    help: 'On AKS: LABEL.REGION.cloudapp.azure.com becomes the name of the load balancer, with a certificate as by --ssl-auto.',
  }),
  sslOverwriteDomain: flag({ help: 'Take that label although the load balancer has another one.' }),
  sslRenew: flag({
    help: 'Get a new certificate of --ssl-auto now; without it that happens when two thirds of its life are over.',
  }),
  sslDisable: flag({ help: 'Back to plain HTTP.' }),
  allowInsecureConnections: boolean({ help: 'Answer plain HTTP, too, instead of redirecting it to HTTPS.' }),
  noWait: flag({
    effect: { kind: 'noEffect', reason: 'the command only waits until the cluster has taken the change' },
    help: 'Do not wait.',
  }),
};

export const COMPUTE_TARGET_COMMANDS: readonly Command[] = [
  command({
    name: 'list',
    summary: 'List compute targets',
    options: {},
    examples: [{ line: 'aksml computetarget list', what: 'All that models can be deployed to' }],
    run: async (context) => (await actions()).listComputeTargets(context),
  }),
  command({
    name: 'show',
    summary: 'Show a compute target',
    options: NAME,
    examples: [
      { line: 'aksml computetarget show -n local', what: 'This machine' },
      { line: 'aksml computetarget show -n prod', what: 'A cluster: nodes, free room, health of the controller' },
    ],
    run: async (context, { name }) => (await actions()).showComputeTarget(context, name),
  }),
  command({
    name: 'get-credentials',
    summary: 'Print what this machine reaches a cluster with',
    description: 'The kubeconfig holds secrets: whoever has it may do with the cluster what you may.',
    options: NAME,
    examples: [
      {
        line: 'aksml computetarget get-credentials -n prod --query userKubeConfig -o tsv > kubeconfig',
        what: 'A kubeconfig for this cluster alone',
      },
    ],
    run: async (context, { name }) => (await actions()).getCredentials(context, name),
  }),
  command({
    name: 'attach kubernetes',
    summary: 'Let services run on a Kubernetes cluster',
    description:
      'Checks what you may do there, shows what it would install, and asks. Run again, it finishes what was interrupted, changes settings, or connects this machine to a cluster that somebody else has attached.',
    options: {
      ...NAME,
      kubeconfig: text({
        completes: 'file',
        placeholder: 'FILE',
        help: 'Kubeconfig of the cluster. Default: KUBECONFIG, else ~/.kube/config.',
      }),
      context: text({ placeholder: 'NAME', help: 'Context of the kubeconfig. Default: the current one.' }),
      namespace: texts({
        placeholder: 'NAMESPACE',
        help: "Namespace of services; several may be given, the first is used unless a deployment names another. Default: the context's.",
      }),
      clusterPurpose: choice(['FastProd', 'DevTest'], {
        help: 'FastProd for production, on three nodes and 12 vCPUs or more; DevTest for tests. Default: FastProd.',
      }),
      registry: text({
        placeholder: 'HOST[/PREFIX]',
        help: "Registry that the cluster pulls images from. Default: the workspace's.",
      }),
      controllerImage: text({
        placeholder: 'IMAGE',
        help: 'Image of what runs in the cluster. Default: composed and pushed to the registry.',
      }),
      controllerBase: text({
        placeholder: 'IMAGE',
        help: 'What that image starts from: a name, or the path of an image layout. It needs glibc.',
      }),
      ...FRONT_END,
      frontEndImage: text({
        placeholder: 'IMAGE',
        help: 'Image of the routers. Default: that of what else runs in the cluster.',
      }),
      computeResourceId: text({
        aliases: ['i'],
        placeholder: 'ID',
        effect: { kind: 'refused', reason: 'the cluster is named by --kubeconfig and --context' },
        help: 'ARM id of an Arc cluster.',
      }),
      ...CONFIRMATION,
    },
    examples: [
      {
        line: 'aksml computetarget attach kubernetes -n prod --context prod-west --registry registry.example.com/team',
        what: 'A cluster of your kubeconfig',
      },
      { line: 'aksml computetarget attach kubernetes -n test --cluster-purpose DevTest --yes', what: 'Without asking' },
    ],
    run: async (context, options) => (await attaching()).attachKubernetes(context, options),
  }),
  ...(['aks', 'kubernetes'] as const).map((kind) =>
    command({
      name: `update ${kind}`,
      summary: 'Change how the services of a cluster are reached: certificate, load balancer, number of routers',
      description:
        'A certificate takes effect at once and without a lost connection; to renew it, run the same command with the new files.',
      options: { ...NAME, ...FRONT_END, ...TLS },
      examples: [
        {
          line: `aksml computetarget update ${kind} -n prod --ssl-cert-file cert.pem --ssl-key-file key.pem --ssl-cname score.example.com`,
          what: 'HTTPS with your certificate; plain HTTP is redirected',
        },
        {
          line: `aksml computetarget update ${kind} -n prod --ssl-auto --ssl-cname score.example.com --acme-email ops@example.com`,
          what: "HTTPS with a certificate of Let's Encrypt, which is renewed by itself",
        },
        { line: `aksml computetarget update ${kind} -n prod --ssl-disable`, what: 'Plain HTTP again' },
        { line: `aksml computetarget update ${kind} -n prod --routers 5`, what: 'More, or fewer, routers' },
      ],
      run: async (context, options) => (await updating()).updateComputeTarget(context, options),
    }),
  ),
  command({
    name: 'detach',
    summary: 'Remove what attach installed in a cluster, and forget it',
    description: 'Services keep running unless they are to be deleted, but nothing looks after them any more.',
    options: {
      ...NAME,
      deleteEndpoints: flag({ help: 'Delete the services and endpoints of the cluster, too.' }),
      force: flag({ help: 'Forget the target even when its cluster cannot be reached.' }),
      ...CONFIRMATION,
    },
    examples: [
      { line: 'aksml computetarget detach -n prod', what: 'Services keep running' },
      { line: 'aksml computetarget detach -n test --delete-endpoints --yes', what: 'Nothing of aksml is left' },
    ],
    run: async (context, options) => (await attaching()).detach(context, options),
  }),
];
