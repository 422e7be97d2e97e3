import type { EffectiveSettings } from '../../contract/deployment.ts';
import type { EndpointSpec, VersionSpec } from '../../contract/endpoint.ts';
import { mergeFrontEnd } from '../config/configuration.ts';

/** The settings that a version has now, in the form in which an update is merged into them. */
export function settingsOf(spec: EndpointSpec, version: VersionSpec): EffectiveSettings {
  const frontEnd = mergeFrontEnd(spec, { computeType: 'aks' });
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
    ...(version.rollout === undefined ? {} : { rollout: version.rollout }),
    ...(frontEnd === undefined ? {} : { frontEnd }),
  };
}

/** What of the settings belongs to a version; the rest is the endpoint's. */
export type VersionSettings = Omit<EffectiveSettings, 'auth' | 'appInsightsEnabled' | 'frontEnd'>;

export function versionSettings(settings: EffectiveSettings): VersionSettings {
  const { auth: _auth, appInsightsEnabled: _appInsights, frontEnd: _frontEnd, ...version } = settings;
  return version;
}
