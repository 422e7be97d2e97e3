import type { Secret } from '../kube/resource.ts';
import { HOSTS_ANNOTATION, MANAGED_BY, RENEWAL_ANNOTATION, ROUTER_SECRET_LABEL, SYSTEM_NAMESPACE } from './names.ts';

/** PEM. */
export interface GivenCertificate {
  /** The certificate, then those of who issued it. */
  readonly certificate: string;
  readonly key: string;
}

/** In which routers find a certificate; `renewal`: what it was got for. */
export function certificateSecret(
  name: string,
  { certificate, key }: GivenCertificate,
  hosts: readonly string[],
  renewal?: string,
): Secret {
  const encoded = (text: string) => Buffer.from(text).toString('base64');
  return {
    metadata: {
      name,
      namespace: SYSTEM_NAMESPACE,
      labels: { ...MANAGED_BY, [ROUTER_SECRET_LABEL]: 'certificate' },
      annotations: {
        [HOSTS_ANNOTATION]: hosts.join(','),
        ...(renewal === undefined ? {} : { [RENEWAL_ANNOTATION]: renewal }),
      },
    },
    type: 'kubernetes.io/tls',
    data: { 'tls.crt': encoded(certificate), 'tls.key': encoded(key) },
  };
}
