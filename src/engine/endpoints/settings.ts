import type { EffectiveSettings } from '../../contract/deployment.ts';
import type { EndpointSpec, VersionSpec } from '../../contract/endpoint.ts';

/** The settings that a version has now, in the form in which an update is merged into them. */
export function settingsOf(spec: EndpointSpec, version: VersionSpec): EffectiveSettings {
  return {
    auth: spec.auth,
    appInsightsEnabled: spec.appInsightsEnabled,
    dataCollection: version.dataCollection,
    scale: version.scale,
    resources: version.resources,
    scoringTimeoutMs: version.scoringTimeoutMs,
    maxConcurrentRequestsPerContainer: version.maxConcurrentRequestsPerContainer,
    maxQueueWaitMs: version.maxQueueWaitMs,
    livenessProbe: version.livenessProbe,
  };
}

/** What of the settings belongs to a version; the rest is the endpoint's. */
export type VersionSettings = Omit<EffectiveSettings, 'auth' | 'appInsightsEnabled'>;

export function versionSettings(settings: EffectiveSettings): VersionSettings {
  const { auth: _auth, appInsightsEnabled: _appInsights, ...version } = settings;
  return version;
}
