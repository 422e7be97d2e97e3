import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type {
  AccessToken,
  EndpointSecrets,
  Keys,
  SecretVariables,
  StoredVariables,
} from '../../contract/compute-target.ts';
import type { Endpoint } from '../../contract/endpoint.ts';
import { AksmlError } from '../../contract/error.ts';
import type { KubeClient } from '../../kube/kube.ts';
import type { KubeObject } from '../../kube/object.ts';
import { SECRETS, SERVICE_ACCOUNTS, type Secret } from '../../kube/resource.ts';
import { together } from '../../parallel/parallel.ts';
import {
  ENDPOINT_LABEL,
  keysSecretName,
  MANAGED_BY,
  pullSecretName,
  serviceAccountName,
  tokenAudience,
  VERSION_LABEL,
  variablesSecretName,
} from '../names.ts';
import { FIELD_MANAGER } from './ownership.ts';

const TOKEN_LIFETIME_S = 12 * 3600;
/** Early enough that a caller has hours to get a new one. */
const REFRESH_SHARE = 2 / 3;
/** The controller makes keys and the subject of tokens within moments of an endpoint. */
const CONTROLLER_MS = 15_000;
const RETRY_MS = 250;

/** On Secrets with variables: changes with their content, and not when the cluster or aksml writes anything else of them. */
const REVISION_ANNOTATION = 'aksml.dev/revision';

/** What belongs to an endpoint and must not be in it. */
export class EndpointSecretObjects {
  readonly #kube: KubeClient;

  constructor(kube: KubeClient) {
    this.#kube = kube;
  }

  /** Before the endpoint names them: a replica must not start without its variables. */
  async store(endpoint: Endpoint, namespace: string, secrets: EndpointSecrets, signal?: AbortSignal): Promise<void> {
    const { name } = endpoint.metadata;
    if (secrets.keys) await this.#putKeys(namespace, name, defined(secrets.keys), signal);
    for (const [version, variables] of Object.entries(secrets.environmentVariables ?? {})) {
      await this.#putVariables(name, namespace, version, variables, signal);
    }
  }

  async #putVariables(
    endpoint: string,
    namespace: string,
    version: string,
    variables: SecretVariables,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const name = { namespace, name: variablesSecretName(endpoint, version) };
    for (;;) {
      const present = await this.#kube.find(SECRETS, name, signal);
      const data = merged(variables, present?.data);
      if (present === undefined && Object.keys(data).length === 0) return;
      if (present !== undefined && revisionOf(present) !== undefined && isDeepStrictEqual(present.data, data)) return;
      const metadata = {
        ...name,
        ...(present === undefined
          ? {}
          : { resourceVersion: present.metadata.resourceVersion, uid: present.metadata.uid }),
        labels: { ...labelsOf(endpoint), [VERSION_LABEL]: version },
        annotations: { [REVISION_ANNOTATION]: randomBytes(8).toString('hex') },
      };
      const secret: Secret = { metadata, type: 'Opaque', data };
      try {
        await this.#kube.apply(SECRETS, secret, { fieldManager: FIELD_MANAGER, force: true, ...given(signal) });
        return;
      } catch (error) {
        // What stays must be what is there.
        if (!AksmlError.is(error, 'kube.conflict')) throw error;
      }
    }
  }

  /** The endpoint with what tells its replicas apart from those that started with other variables. Nothing of a value is in it. */
  async withRevisions(endpoint: Endpoint, namespace: string, signal?: AbortSignal): Promise<Endpoint> {
    const { name } = endpoint.metadata;
    const versions = await Promise.all(
      endpoint.spec.versions.map(async ({ variablesRevision: _former, ...version }) => {
        const referred = new Set((version.secretVariables ?? []).map(({ secret }) => secret));
        const names = [variablesSecretName(name, version.name), ...referred];
        const found = await Promise.all(names.map((one) => this.#kube.find(SECRETS, { namespace, name: one }, signal)));
        const revisions = found.map((secret) => secret && (revisionOf(secret) ?? secret.metadata.resourceVersion));
        if (revisions.every((revision) => revision === undefined)) return version;
        const variablesRevision = createHash('sha256').update(JSON.stringify(revisions)).digest('hex').slice(0, 16);
        return { ...version, variablesRevision };
      }),
    );
    return { ...endpoint, spec: { ...endpoint.spec, versions } };
  }

  /** Makes the cluster remove with the endpoint what was stored for it, and removes at once what belongs to versions that are gone. */
  async settle(stored: Endpoint & KubeObject, before: Endpoint | undefined, signal?: AbortSignal): Promise<void> {
    const { name, namespace = '' } = stored.metadata;
    const versions = stored.spec.versions.map((version) => version.name);
    const gone = before?.spec.versions.filter((version) => !versions.includes(version.name)) ?? [];
    for (const version of gone) await this.#remove(namespace, variablesSecretName(name, version.name), signal);
    const present = [
      keysSecretName(name),
      pullSecretName(name),
      ...versions.map((version) => variablesSecretName(name, version)),
    ];
    await together(...present.map((secret) => this.#own(stored, secret, signal)));
  }

  /** Those that no owner takes along: of a deploy that was killed between its two writes. */
  async removeAll(endpoint: Endpoint, namespace: string, signal?: AbortSignal): Promise<void> {
    const { name } = endpoint.metadata;
    const versions = endpoint.spec.versions.map((version) => variablesSecretName(name, version.name));
    for (const secret of [keysSecretName(name), pullSecretName(name), ...versions]) {
      await this.#remove(namespace, secret, signal);
    }
  }

  async variables(endpoint: Endpoint, namespace: string, signal?: AbortSignal): Promise<StoredVariables> {
    const { metadata, spec } = endpoint;
    const found = await Promise.all(
      spec.versions.map(async ({ name }): Promise<[string, Readonly<Record<string, string>>]> => {
        const secret = { namespace, name: variablesSecretName(metadata.name, name) };
        return [name, decoded((await this.#kube.find(SECRETS, secret, signal))?.data)];
      }),
    );
    return Object.fromEntries(found);
  }

  async keys(namespace: string, endpoint: string, signal?: AbortSignal): Promise<Keys> {
    return readKeys((await this.#keysSecret(namespace, endpoint, signal)).data);
  }

  async regenerate(
    namespace: string,
    endpoint: string,
    which: 'primary' | 'secondary',
    value = newKey(),
    signal?: AbortSignal,
  ): Promise<Keys> {
    for (;;) {
      const { metadata } = await this.#keysSecret(namespace, endpoint, signal);
      // With the version that was read: of two people who replace a key at once, nobody's answer is wrong.
      const patch = {
        metadata: { resourceVersion: metadata.resourceVersion },
        data: encoded({ [`${which}Key`]: value }),
      };
      try {
        const changed = await this.#kube.patch(SECRETS, metadata, patch, {
          fieldManager: FIELD_MANAGER,
          ...given(signal),
        });
        return readKeys(changed.data);
      } catch (error) {
        if (!AksmlError.is(error, 'kube.conflict')) throw error;
      }
    }
  }

  /** Of the cluster itself: who may ask for one is a matter of its RBAC (`serviceaccounts/token`, `create`). */
  async accessToken(namespace: string, endpoint: string, now: Date, signal?: AbortSignal): Promise<AccessToken> {
    const name = { namespace, name: serviceAccountName(endpoint) };
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [tokenAudience(namespace, endpoint)], expirationSeconds: TOKEN_LIFETIME_S },
    };
    const made = await untilMade(
      () => this.#kube.createIn<TokenAnswer>(SERVICE_ACCOUNTS, name, 'token', body, signal),
      'the subject of its tokens',
      endpoint,
      signal,
    );
    const { token, expirationTimestamp } = made.status;
    const issued = Math.floor(now.getTime() / 1000);
    const expiryOn = Math.floor(Date.parse(expirationTimestamp) / 1000);
    const refreshAfter = issued + Math.floor((expiryOn - issued) * REFRESH_SHARE);
    return { accessToken: token, tokenType: 'Bearer', refreshAfter, expiryOn };
  }

  /** Tokens are for one ServiceAccount, which another takes the place of; returns once the controller has made that one. */
  async revokeTokens(namespace: string, endpoint: string, signal?: AbortSignal): Promise<void> {
    const name = { namespace, name: serviceAccountName(endpoint) };
    const before = await this.#kube.find(SERVICE_ACCOUNTS, name, signal);
    const uid = before?.metadata.uid;
    if (uid !== undefined) await this.#kube.remove(SERVICE_ACCOUNTS, name, { uid, ...given(signal) });
    await untilMade(
      () => this.#kube.get(SERVICE_ACCOUNTS, name, signal),
      'the subject of its tokens',
      endpoint,
      signal,
    );
  }

  #keysSecret(namespace: string, endpoint: string, signal: AbortSignal | undefined): Promise<Secret> {
    const name = { namespace, name: keysSecretName(endpoint) };
    return untilMade(() => this.#kube.get(SECRETS, name, signal), 'its keys', endpoint, signal);
  }

  /** A primary key alone keeps the secondary one. */
  async #putKeys(
    namespace: string,
    endpoint: string,
    keys: Partial<Keys>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const options = { fieldManager: FIELD_MANAGER, ...given(signal) };
    const metadata = { namespace, name: keysSecretName(endpoint), labels: labelsOf(endpoint) };
    for (;;) {
      try {
        await this.#kube.patch(SECRETS, metadata, { data: encoded(keys) }, options);
        return;
      } catch (error) {
        if (!AksmlError.is(error, 'kube.notFound')) throw error;
      }
      try {
        const both = { primaryKey: newKey(), secondaryKey: newKey(), ...keys };
        await this.#kube.create(SECRETS, { metadata, type: 'Opaque', data: encoded(both) }, options);
        return;
      } catch (error) {
        // The controller was faster.
        if (!AksmlError.is(error, 'kube.alreadyExists')) throw error;
      }
    }
  }

  async #own(stored: Endpoint & KubeObject, name: string, signal: AbortSignal | undefined): Promise<void> {
    const { namespace = '', uid = '' } = stored.metadata;
    const secret = await this.#kube.find(SECRETS, { namespace, name }, signal);
    if (secret === undefined || secret.metadata.ownerReferences?.some((owner) => owner.uid === uid)) return;
    const owner = { apiVersion: stored.apiVersion, kind: stored.kind, name: stored.metadata.name, uid };
    const patch = { metadata: { ownerReferences: [owner] } };
    await this.#kube.patch(SECRETS, { namespace, name }, patch, { fieldManager: FIELD_MANAGER, ...given(signal) });
  }

  async #remove(namespace: string, name: string, signal: AbortSignal | undefined): Promise<void> {
    await this.#kube.remove(SECRETS, { namespace, name }, given(signal));
  }
}

function revisionOf({ metadata }: Secret): string | undefined {
  return metadata.annotations?.[REVISION_ANNOTATION];
}

interface TokenAnswer {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

async function untilMade<T>(
  read: () => Promise<T>,
  what: string,
  endpoint: string,
  signal: AbortSignal | undefined,
): Promise<T> {
  const end = Date.now() + CONTROLLER_MS;
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (!AksmlError.is(error, 'kube.notFound')) throw error;
      if (Date.now() >= end) {
        throw new AksmlError(
          'service.notReady',
          `The controller of the cluster has not made ${what} for ${endpoint}.`,
          {
            subject: endpoint,
            remedy: 'See with "aksml computetarget show" whether the controller is healthy.',
            cause: error,
          },
        );
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

function readKeys(data: Secret['data']): Keys {
  const { primaryKey = '', secondaryKey = '' } = decoded(data);
  return { primaryKey, secondaryKey };
}

function decoded(data: Secret['data']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([name, value]) => [name, Buffer.from(value, 'base64').toString('utf8')]),
  );
}

/** What is given, and of the others what is stored. */
function merged(variables: SecretVariables, stored: Secret['data']): Record<string, string> {
  const values = Object.entries(variables).map(([name, value]): [string, string | undefined] => [
    name,
    value === null ? stored?.[name] : base64(value),
  ]);
  return Object.fromEntries(values.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function encoded(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, base64(value)]));
}

function base64(value: string): string {
  return Buffer.from(value, 'utf8').toString('base64');
}

function defined(keys: Partial<Keys>): Record<string, string> {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined));
}

function labelsOf(endpoint: string): Record<string, string> {
  return { ...MANAGED_BY, [ENDPOINT_LABEL]: endpoint };
}

function newKey(): string {
  return randomBytes(32).toString('base64url');
}

function given(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
