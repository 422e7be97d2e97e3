import * as vscode from 'vscode';
import type { AccessToken } from '../../contract/compute-target.ts';
import type { EndpointScope } from '../../contract/engine-api.ts';
import { AksmlError } from '../../contract/error.ts';
import { KEYS_FORM, type SecretName, type TokenFacts } from '../../contract/webview/keys.ts';
import { ENDPOINT_OF_FORM, followEndpoint } from './endpoint-scope.ts';
import type { FormKind } from './form-panel.ts';

const t = vscode.l10n.t;

/** Secrets are asked of the engine when they are needed, and kept nowhere but a fetched token, until its form is closed. */
export const KEYS: FormKind<typeof KEYS_FORM, EndpointScope> = {
  form: 'keys',
  contract: KEYS_FORM,
  scope: ENDPOINT_OF_FORM,
  title: ({ name }) => t('Keys of {0}', name),
  serve: (window, scope, opened) => {
    const { engine } = window;
    let token: AccessToken | undefined;
    followEndpoint(window, scope, opened);
    const secret = async (which: SecretName): Promise<string> => {
      if (which !== 'token') {
        const { primaryKey, secondaryKey } = await engine.request('key.get', scope);
        return which === 'primary' ? primaryKey : secondaryKey;
      }
      if (token) return token.accessToken;
      throw new AksmlError('token.none', t('No token has been fetched yet.'), { remedy: t('Fetch a token first.') });
    };
    return {
      open: async (_, signal) => ({ endpoint: await engine.request('endpoint.get', scope, { signal }) }),
      reveal: async ({ which }) => ({ value: await secret(which) }),
      copy: async ({ which }) => {
        await vscode.env.clipboard.writeText(await secret(which));
        return null;
      },
      regenerate: async ({ which }) => {
        await engine.request('key.regenerate', { ...scope, which });
        return null;
      },
      fetchToken: async () => {
        token = await engine.request('token.get', scope);
        return tokenFacts(token);
      },
    };
  },
};

/** What a token says of itself, without the token; it is not checked here, only read. */
export function tokenFacts({ accessToken, refreshAfter, expiryOn }: AccessToken): TokenFacts {
  return { claims: claimsOf(accessToken), refreshAfter, expiryOn };
}

function claimsOf(token: string): Record<string, unknown> {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    return typeof claims === 'object' && claims !== null ? { ...claims } : {};
  } catch {
    // Not every token is a JWT.
    return {};
  }
}
