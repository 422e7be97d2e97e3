import { AksmlError } from '../contract/error.ts';

/** What the API server says when it refuses (`kind: Status`). */
export interface ApiStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly { readonly message?: string }[];
  };
}

/** What was being done, for messages: `doing` continues "… while", `subject` is such as `pods/x`. */
export interface Attempt {
  readonly server: string;
  readonly subject: string;
  readonly doing: string;
}

/** An answer of the API server that is not a success, as an error of ours. */
export function refused(status: ApiStatus, httpStatus: number, { server, subject, doing }: Attempt): AksmlError {
  const said = status.message ?? `it answered ${httpStatus}`;
  const cause = new ApiRefusal(httpStatus, status);
  const make = (code: string, message: string, remedy?: string) =>
    new AksmlError(code, message, { subject, cause, ...(remedy === undefined ? {} : { remedy }) });
  switch (httpStatus) {
    case 401:
      return make(
        'kube.unauthorized',
        `The cluster ${server} does not know who you are: the credentials were refused while ${doing}.`,
        'Log in to the cluster again, or fetch fresh credentials (get-credentials), then run the command again.',
      );
    case 403:
      return make(
        'kube.forbidden',
        `The cluster does not allow ${doing}: ${said}.`,
        'Ask an administrator of the cluster for this right.',
      );
    case 404:
      return make('kube.notFound', `${subject} does not exist on the cluster.`);
    case 409:
      return status.reason === 'AlreadyExists'
        ? make('kube.alreadyExists', `${subject} exists already on the cluster.`)
        : make(
            'kube.conflict',
            `${subject} was changed by somebody else while ${doing}: ${said}.`,
            'Look at it as it is now, then run the command again.',
          );
    case 410:
      return make('kube.gone', `The cluster no longer has the state that was asked for while ${doing}.`);
    case 413:
    case 422:
    case 400:
      return make('kube.invalid', `The cluster refused ${subject}: ${said}.`);
    case 429:
      return make('kube.throttled', `The cluster is too busy for ${doing}.`, 'Run the command again later.');
    default:
      return make(
        'kube.failed',
        `The cluster failed while ${doing}: ${said}.`,
        httpStatus >= 500
          ? 'Run the command again; if it fails again, ask an administrator of the cluster.'
          : undefined,
      );
  }
}

/** The server's own words, kept as the cause. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  readonly httpStatus: number;
  readonly status: ApiStatus;

  constructor(httpStatus: number, status: ApiStatus) {
    super(status.message ?? `answered ${httpStatus}`);
    this.httpStatus = httpStatus;
    this.status = status;
  }
}

/** The HTTP status behind an error of ours; undefined where no answer came. */
export function httpStatusOf(error: unknown): number | undefined {
  return AksmlError.is(error) && error.cause instanceof ApiRefusal ? error.cause.httpStatus : undefined;
}

/** How long the server asks to wait, milliseconds. */
export function retryAfterOf(error: unknown): number | undefined {
  if (!AksmlError.is(error) || !(error.cause instanceof ApiRefusal)) return undefined;
  const seconds = error.cause.status.details?.retryAfterSeconds;
  return seconds === undefined || seconds < 0 ? undefined : seconds * 1000;
}

/** No answer came: the connection failed, or it took too long. */
export function unreachable(error: unknown, { server, doing, subject }: Attempt): AksmlError {
  const { code, message } = deepest(error);
  if (isTimeout(code)) {
    return new AksmlError('kube.timeout', `The cluster ${server} did not answer in time while ${doing}.`, {
      subject,
      remedy: 'Check the network and the cluster, then run the command again.',
      cause: error,
    });
  }
  if (TLS_ERRORS.has(code) || code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL')) {
    return new AksmlError('kube.tls', `The certificate of ${server} cannot be trusted: ${message}.`, {
      subject: server,
      remedy:
        'Fetch fresh credentials for the cluster; the kubeconfig names the authority that must have signed its certificate.',
      cause: error,
    });
  }
  return new AksmlError(
    'kube.unreachable',
    `The cluster ${server} could not be reached while ${doing}: ${code || message}.`,
    {
      subject: server,
      remedy:
        'Check that the cluster runs and that its address can be reached from here (VPN, proxy, authorized IP ranges).',
      cause: error,
    },
  );
}

/** Nothing was sent yet, so the request may be repeated, whatever it is. */
export function neverSent(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'EHOSTUNREACH', 'ENETUNREACH'].includes(
    deepest(error).code,
  );
}

function isTimeout(code: string): boolean {
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT';
}

const TLS_ERRORS = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_SIGNATURE_FAILURE',
]);

function deepest(error: unknown): { readonly code: string; readonly message: string } {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  if (inner instanceof AggregateError && inner.errors[0] instanceof Error) inner = inner.errors[0];
  if (!(inner instanceof Error)) return { code: '', message: String(inner) };
  return { code: 'code' in inner && typeof inner.code === 'string' ? inner.code : '', message: inner.message };
}
