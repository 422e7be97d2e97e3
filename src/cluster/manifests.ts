import type { FrontEndService } from '../contract/compute-record.ts';
import type { KubeObject } from '../kube/object.ts';
import { CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES } from '../kube/resource.ts';
import type { RouterScaleLimits } from '../serving/router-scale.ts';
import { endpointDefinition } from './crd.ts';
import { controllerManifests } from './manifests/controller.ts';
import type { Manifest } from './manifests/manifest.ts';
import { frontEndManifests } from './manifests/router.ts';
import { MANAGED_BY, SYSTEM_NAMESPACE } from './names.ts';
import type { RouterSettings } from './router/router-settings.ts';

export type { Manifest } from './manifests/manifest.ts';
export {
  CLUSTER_RULES,
  LEASE_RULES,
  NAMESPACE_RULES,
  ROUTED_RULES,
  ROUTER_RULES,
  SYSTEM_RULES,
} from './manifests/rights.ts';

export interface ClusterSettings {
  /** Of aksml. */
  readonly version: string;
  /** With its digest: what `src/cluster/main.ts` is in. */
  readonly image: string;
  /** Secret, in aksml's own namespace, that the image is pulled with. */
  readonly imagePullSecret?: string;
  /** Those whose endpoints are served. They exist already. */
  readonly namespaces: readonly string[];
  /** Controllers at a time: one leads, the others take over within seconds. 2 for FastProd, 1 for DevTest. */
  readonly controllers: number;
  readonly frontEnd?: FrontEndSettings;
}

/** How the front end is installed. */
export interface FrontEndSettings {
  /** Default: the controller's, which holds the routers' program and HAProxy, too. */
  readonly image?: string;
  /** Routers at a time, on different nodes where there are nodes. 3 for FastProd, 1 for DevTest. */
  readonly routers: number;
  readonly service: FrontEndService;
  /** Port 443 answers; host names that there are certificates for. */
  readonly https?: { readonly hosts: readonly string[] };
  /** Certificates are got, and renewed, from an ACME server. */
  readonly acme?: AcmeSettings;
  /** Absent: there are as many routers as at first, and no larger ones. */
  readonly scaling?: RouterScaleLimits;
  /** What every router keeps to. */
  readonly routing: RouterSettings;
}

/** In `acme.json` of the ConfigMap `aksml-fe`. */
export interface AcmeSettings {
  /** Host names. */
  readonly hosts: readonly string[];
  /** URL of the server's directory. */
  readonly directory: string;
  /** Whom the server may write to. */
  readonly email?: string;
  /** Whatever has another value than the certificate was got for asks for a new one. */
  readonly renewal?: string;
}

/** Everything that aksml installs in a cluster, in the order in which it must be there; removed in the opposite one. Pure. */
export function clusterManifests(settings: ClusterSettings): readonly Manifest[] {
  return [
    { resource: NAMESPACES, object: systemNamespace() },
    { resource: CUSTOM_RESOURCE_DEFINITIONS, object: endpointDefinition(settings.version) },
    ...controllerManifests(settings),
    ...(settings.frontEnd === undefined ? [] : frontEndManifests(settings, settings.frontEnd)),
  ];
}

function systemNamespace(): KubeObject {
  return {
    metadata: {
      name: SYSTEM_NAMESPACE,
      labels: { ...MANAGED_BY, 'pod-security.kubernetes.io/enforce': 'restricted' },
    },
  };
}
