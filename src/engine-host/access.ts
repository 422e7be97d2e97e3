import { getAccessToken, getKeys, regenerateKey, revokeTokens } from '../engine/endpoints/service.ts';
import type { HandlersOf } from './handler.ts';

export const KEY: HandlersOf<'key'> = {
  'key.get': async ({ name, ...scope }, { host }) => getKeys(await host.engine(scope), name),
  'key.regenerate': async ({ name, which, value, ...scope }, { host }) =>
    regenerateKey(await host.engine(scope), name, which, value),
};

export const TOKEN: HandlersOf<'token'> = {
  'token.get': async ({ name, ...scope }, { host }) => getAccessToken(await host.engine(scope), name),
  'token.revoke': async ({ name, ...scope }, { host, signal }) => {
    await revokeTokens(await host.engine(scope), name, signal);
    return null;
  },
};
