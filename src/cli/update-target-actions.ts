import { resolve } from 'node:path';
import { AksmlError } from '../contract/error.ts';
import { readCertificate } from '../session/certificate-files.ts';
import type { TlsChange } from '../session/update-target.ts';
import { type FrontEndOptions, frontEndOptions } from './attach-actions.ts';
import { showComputeTarget } from './computetarget-actions.ts';
import type { CommandContext } from './context.ts';
import { defined } from './defined.ts';
import type { Result } from './result.ts';

export interface UpdateTargetOptions extends FrontEndOptions {
  readonly name: string;
  readonly sslCertFile: string | undefined;
  readonly sslKeyFile: string | undefined;
  readonly sslCname: readonly string[] | undefined;
  readonly sslAuto: boolean | undefined;
  readonly acmeServer: string | undefined;
  readonly acmeEmail: string | undefined;
  readonly sslLeafDomainLabel: string | undefined;
  readonly sslOverwriteDomain: boolean | undefined;
  readonly sslRenew: boolean | undefined;
  readonly sslDisable: boolean | undefined;
  readonly allowInsecureConnections: boolean | undefined;
}

export async function updateComputeTarget(context: CommandContext, options: UpdateTargetOptions): Promise<Result> {
  const { name, allowInsecureConnections } = options;
  const tls = await tlsChange(context.host.cwd, options);
  const session = await context.session();
  const changes = defined({ ...frontEndOptions(options), allowInsecureConnections, tls });
  await session.update({ name, ...changes }, context.run);
  return showComputeTarget(context, name);
}

/** v1's rules: certificate, key and name come together, or none of them; a domain label comes without them. */
async function tlsChange(cwd: string, options: UpdateTargetOptions): Promise<TlsChange | undefined> {
  const { sslCertFile, sslKeyFile, sslCname, sslAuto = false, sslLeafDomainLabel } = options;
  const { sslRenew = false, sslDisable = false } = options;
  const hosts = (sslCname ?? []).flatMap((names) => names.split(',')).map((host) => host.trim());
  const hasFiles = sslCertFile !== undefined || sslKeyFile !== undefined;
  const isAuto = sslAuto || sslLeafDomainLabel !== undefined;
  if ([sslDisable, sslRenew, hasFiles, isAuto].filter(Boolean).length > 1) {
    throw conflicting(
      'Certificate files, a certificate from an ACME server, --ssl-renew and --ssl-disable exclude one another.',
    );
  }
  if (sslDisable) return { kind: 'disable' };
  if (sslRenew) return { kind: 'renew' };
  if (isAuto) {
    return {
      kind: 'auto',
      hosts,
      overwriteDomain: options.sslOverwriteDomain ?? false,
      ...defined({ dnsLabel: sslLeafDomainLabel, directory: options.acmeServer, email: options.acmeEmail }),
    };
  }
  if (!hasFiles && hosts.length === 0) return undefined;
  if (sslCertFile === undefined || sslKeyFile === undefined || hosts.length === 0) {
    throw conflicting('--ssl-cert-file, --ssl-key-file and --ssl-cname belong together.');
  }
  const certificate = await readCertificate(resolve(cwd, sslCertFile), resolve(cwd, sslKeyFile));
  return { kind: 'files', certificate, hosts };
}

function conflicting(message: string): AksmlError {
  return new AksmlError('frontEnd.invalid', message, {
    fault: 'input',
    subject: '--ssl-cert-file',
    remedy: 'See "aksml computetarget update kubernetes --help".',
  });
}
