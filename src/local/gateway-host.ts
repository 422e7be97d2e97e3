import { isIP } from 'node:net';

/**
 * Whether this machine may be meant by a Host header. A page of a stranger can give its own name this machine's address ("DNS rebinding")
 * and would then read every answer that needs no key. Names without a dot, and addresses, are nobody's to give.
 * @param allowedOrigins those of the endpoint's CORS setting: who was let in by name may come by that name
 */
export function isOwnHost(host: string | undefined, allowedOrigins: readonly string[]): boolean {
  const name = hostname(host ?? '');
  if (name === undefined || !name.includes('.') || name.endsWith('.localhost')) return true;
  if (isIP(name) !== 0 || allowedOrigins.includes('*')) return true;
  return allowedOrigins.some((origin) => hostname(origin.replace(/^[a-z+.-]+:\/\//i, '')) === name);
}

/** Lower-case, without the port; undefined for an IPv6 address in brackets. */
function hostname(authority: string): string | undefined {
  if (authority.startsWith('[')) return undefined;
  return authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
