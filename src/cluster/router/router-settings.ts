import * as v from 'valibot';

/** What an administrator decides for all routers of a cluster: `settings.json` of the ConfigMap `aksml-fe`. */
export interface RouterSettings {
  /** Larger request bodies get 413. */
  readonly maxBodyBytes: number;
  /** Whether plain HTTP is answered although there is a certificate; else it is redirected to HTTPS. */
  readonly allowInsecureConnections: boolean;
}

export const DEFAULT_ROUTER_SETTINGS: RouterSettings = {
  // v1's limit.
  maxBodyBytes: 100 * 1024 * 1024,
  allowInsecureConnections: false,
};

const { maxBodyBytes, allowInsecureConnections } = DEFAULT_ROUTER_SETTINGS;
/** A newer aksml may have written more; what is not as it should be has its default. */
const SETTINGS = v.object({
  maxBodyBytes: v.fallback(v.pipe(v.number(), v.integer(), v.minValue(0)), maxBodyBytes),
  allowInsecureConnections: v.fallback(v.boolean(), allowInsecureConnections),
});

export function parseRouterSettings(text: string): RouterSettings {
  try {
    return v.parse(SETTINGS, JSON.parse(text));
  } catch {
    return DEFAULT_ROUTER_SETTINGS;
  }
}
