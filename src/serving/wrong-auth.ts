import type { AuthMode } from '../contract/endpoint.ts';
import { AksmlError } from '../contract/error.ts';

/** Keys were asked of an endpoint that has tokens, or the other way round. */
export function wrongAuth(name: string, wanted: 'key' | 'token', present: AuthMode): AksmlError {
  const [code, what] = wanted === 'key' ? ['auth.notKey', 'keys'] : ['auth.notToken', 'tokens'];
  return new AksmlError(code, `"${name}" does not authenticate by ${what}; its authentication is "${present}".`, {
    fault: 'input',
    subject: name,
    remedy: `Update it with ${wanted === 'key' ? '--auth-enabled true' : '--token-auth-enabled true'} first.`,
  });
}
