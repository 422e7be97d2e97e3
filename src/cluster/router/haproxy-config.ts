import { join } from 'node:path';
import { CERTIFICATE_LIST } from './certificates.ts';

/** A value of `timeout queue` that some versions have: backends have it fixed, so each value has a pool of its own. */
export interface QueueClass {
  /** Milliseconds, > 0. */
  readonly queueMs: number;
  /** Backends of that value. */
  readonly backends: number;
  /** Backends for servers of the user's own, which go on working after a time-out. */
  readonly heldBackends: number;
}

export interface HaproxySettings {
  /** Private to the router: sockets, maps, certificates. */
  readonly folder: string;
  /** Such as `*`. */
  readonly address: string;
  readonly port: number;
  /** Absent: no certificate is there. `redirects`: plain HTTP is sent on to HTTPS. */
  readonly tls?: { readonly port: number; readonly redirects: boolean };
  readonly hopPort: number;
  readonly threads: number;
  /** Connections in all. */
  readonly maxConnections: number;
  readonly classes: readonly QueueClass[];
  /** How many other routers there can be. */
  readonly peers: number;
  /** UDP on 127.0.0.1: a line per request. */
  readonly logPort: number;
  /** `server` lines of backends, as they are at run time: what was added there is lost at a reload otherwise. */
  readonly servers: ReadonlyMap<string, readonly string[]>;
}

/** Requests with a larger body are received whole by the activator first. Bytes. */
export const BUFFERED_BODY = 56 * 1024;
const BUFFER = 64 * 1024;
/** Of freed memory that each thread keeps for itself, so that a buffer is not got from the system for every request. Bytes. */
const HOT_MEMORY = 8 * 1024 * 1024;
/** A client that sends its headers, or a small body, more slowly is given up. Seconds. */
export const SLOWEST_REQUEST_S = 30;
/** Traffic is split into so many parts: percentiles have four decimals. */
export const PARTS = 1_000_000;

export const MAPS = [
  'usual',
  'endpoints',
  'keys',
  'versions',
  'routes',
  'cors',
  'addresses',
  'hop',
  'challenges',
] as const;
export type MapName = (typeof MAPS)[number];

export function mapPath(folder: string, name: MapName): string {
  return join(folder, 'maps', `${name}.map`);
}

export const SOCKETS = {
  admin: 'admin.sock',
  master: 'master.sock',
  self: 'self.sock',
  elsewhere: 'elsewhere.sock',
  hold: 'hold.sock',
  activator: 'activator.sock',
  tokens: 'tokens.sock',
} as const;

/** Names of the pool's backends, in a fixed order: `b<class>-<n>` and, held, `h<class>-<n>` with its twin `t<class>-<n>`. */
export function poolNames({ queueMs, backends, heldBackends }: QueueClass) {
  const numbered = (letter: string, count: number) =>
    Array.from({ length: count }, (_, index) => `${letter}${queueMs}-${index}`);
  return { plain: numbered('b', backends), held: numbered('h', heldBackends) };
}

/** The second half of a held backend, which keeps the slot. */
export function twinOf(held: string): string {
  return held.replace(/^h/, 't');
}

export function peerNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `p${index}`);
}

/** The backend that leads to the same router, for gRPC. */
export function grpcPeer(peer: string): string {
  return peer.replace(/^p/, 'g');
}

/**
 * The whole configuration. Only numbers and paths of aksml's own are in it: what users say reaches HAProxy as values of maps, never as
 * configuration. Pure.
 */
export function haproxyConfig(settings: HaproxySettings): string {
  return [
    globalSection(settings),
    defaultsSections(settings),
    publicFrontend(settings),
    innerFrontend(settings),
    holdFrontend(settings),
    activatorBackend(settings),
    TABLES,
    ...settings.classes.flatMap((queueClass) => poolBackends(settings, queueClass)),
    ...peerNames(settings.peers).flatMap((name) => [name, grpcPeer(name)].map((each) => peerBackend(settings, each))),
  ]
    .join('\n\n')
    .concat('\n');
}

function globalSection({ folder, threads, maxConnections }: HaproxySettings): string {
  return lines`
    global
      stats socket unix@${join(folder, SOCKETS.admin)} mode 600 level admin expose-fd listeners
      stats timeout 1m
      setenv AKSML_ROUTER_FOLDER ${folder}
      lua-load-per-thread ${join(folder, 'aksml.lua')}
      nbthread ${threads}
      maxconn ${maxConnections}
      hard-stop-after 1h
      tune.bufsize ${BUFFER}
      tune.memory.hot-size ${HOT_MEMORY}
      tune.http.maxhdr 128
      tune.h2.fe.max-concurrent-streams 128
      tune.h2.fe.glitches-threshold 1000
      ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
      ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256`;
}

const TEXT = 'content-type "text/plain; charset=utf-8"';
const NOSNIFF = 'hdr x-content-type-options nosniff';

/** What 503 says, by how HAProxy says that the request ended: it waited its time in the queue, or there was nowhere to send it. */
export const REFUSALS = {
  'refused.map': endings('No ready replicas for service', 'Too many requests for service'),
  'refused-why.map': endings('', '- (overloaded)'),
};

function endings(connecting: string, queueing: string): ReadonlyMap<string, string> {
  return new Map(
    [...'CScsPRLIUDKk-'].flatMap((who) => [[`${who}C`, connecting] as const, [`${who}Q`, queueing] as const]),
  );
}

function defaultsSections({ folder, logPort }: HaproxySettings): string {
  const reason = (name: keyof typeof REFUSALS) => `txn.sess_term_state,map_str(${join(folder, 'maps', name)})`;
  // A map's values do not begin with a space.
  const why = `${reason('refused-why.map')},bytes(1)`;
  const answers = lines`
      http-error status 400 ${TEXT} string "This is not a request that a service could be asked." ${NOSNIFF}
      http-error status 408 ${TEXT} string "The request was not sent in time." ${NOSNIFF}
      http-error status 502 ${TEXT} string "Replica closed connection before replying" ${NOSNIFF}
      http-error status 503 ${TEXT} lf-string "%[${reason('refused.map')}] %[var(txn.name)]%[${why}]" ${NOSNIFF} hdr retry-after 1
      http-error status 504 ${TEXT} lf-string "Service %[var(txn.name)] did not answer within its scoring time-out of %[var(txn.target),field(4,:)] ms" ${NOSNIFF}`;
  const common = lines`
      mode http
      log 127.0.0.1:${logPort} len 1024 format raw local0 info
      option dontlognull
      option abortonclose
      option idle-close-on-response
      option splice-auto
      timeout connect 400ms
      timeout client 1h
      timeout server 1h
      timeout tunnel 1h
      timeout queue 1m
      timeout http-request ${SLOWEST_REQUEST_S}s
      timeout http-keep-alive 75s`;
  return [
    `defaults front`,
    common,
    '  timeout client 2m',
    answers,
    '',
    'defaults version',
    // A replica that works for a client who has gone is still at work: its place is not free.
    common.replace('option abortonclose', 'no option abortonclose'),
    answers,
    lines`
      balance leastconn
      retries 3
      option redispatch 1
      http-reuse always
      http-request set-timeout server var(txn.target),field(5,:)
      ${PASSING_ON}
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { srv_name -m str elsewhere } { res.hdr(x-aksml-version) -m found }
      http-response del-header x-aksml- -m beg unless { srv_name -m str elsewhere }
      http-response allow if { status lt 500 }
      http-response set-var(txn.limit_ms) var(txn.target),field(4,:)
      http-response return status 504 ${TEXT} lf-string "Service %[var(txn.name)] did not answer within its scoring time-out of %[var(txn.target),field(4,:)] ms" ${NOSNIFF} if { res.timer.hdr,sub(txn.limit_ms) -m int ge 0 }
      http-response set-status 502 if { status 500 } { res.hdr(x-ms-run-function-failed) -m str True }`,
    '',
    'defaults held',
    common,
    answers,
    lines`
      balance leastconn
      retries 3
      option redispatch 1
      retry-on conn-failure 503
      http-send-name-header x-aksml-replica
      ${REQUEST_ID}
      http-request set-timeout server var(txn.target),field(4,:)
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { res.hdr(x-aksml-version) -m found } { srv_name -m str elsewhere }
      http-response set-status 503 if { status 599 }
      http-response set-status 502 if { status 500 } { res.hdr(x-ms-run-function-failed) -m str True }`,
    '',
    'defaults twin',
    common.replace('option abortonclose', 'no option abortonclose'),
    answers,
    lines`
      timeout queue 1h
      retries 0
      http-request del-header x-aksml-twin
      http-request del-header x-aksml-replica
      http-response del-header x-aksml- -m beg
      http-response set-var(txn.reached) bool(true)
      http-response set-status 599 if { status 503 }
      http-after-response lua.replica_down if { status 503 } !{ var(txn.reached) -m bool }`,
    '',
    'defaults passing',
    common,
    answers,
    '',
  ].join('\n');
}

/** Of many requests a share is told of, in parts of {@link LOG_PARTS}: that of the variable `proc.share`, all while it is not set. */
export const LOG_PARTS = 1024;
const LOG_FORMAT = [
  '  log-format "%b %s %ST %Tw %Ta %tsc"',
  `  http-request set-var(txn.dice) rand(${PARTS})`,
  `  http-request set-log-level silent if { var(txn.dice),mod(${LOG_PARTS}),sub(proc.share) -m int ge 0 }`,
].join('\n');

/** Names of headers that ask for more than the usual. */
const UNUSUAL =
  '(^|,)(x-aksml-|x-request-id|x-ms-|te(,|$)|proxy-|http2-settings|upgrade|azureml-model-deployment|aksml-session|transfer-encoding|expect)';

/**
 * Nearly all requests ask a service that wants nothing special for a score, and ask for nothing special themselves. Each rule costs, if only to
 * find that it does not apply: so these are told from the others by a single look into a map of whole paths, and go no further.
 *
 * An entry is `A|NAME|B|T|B`: how it is authenticated (`K`, `T`, `N`), the endpoint, the default version's backend and name, the threshold below
 * which it gets a request, and the other version; of endpoints with tokens, from the sixth field on, whose they must be.
 */
function usualRequests(folder: string): string {
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  const usual = (auth: string, proof: string) =>
    `http-request allow if { var(txn.usual) -m beg ${auth} } !{ req.hdr_names -m reg ${UNUSUAL} } !{ req.fhdr(connection) -m reg -i ^(?!(keep-alive|close)$) } !{ req.fhdr(content-length) -m int gt ${BUFFERED_BODY} } ${proof}`;
  return lines`
      http-request set-var(txn.id) uuid()
      http-request set-var(txn.usual) path,${map('usual')}
      http-request set-var(txn.name) var(txn.usual),field(2,|)
      http-request set-var(txn.target) var(txn.usual),field(3,|)
      http-request set-var(txn.target) var(txn.usual),field(5,|) if { var(txn.usual),field(4,|),sub(txn.dice) -m int le 0 }
      http-request unset-var(txn.usual) if { req.ver 2.0 } !METH_GET !{ req.hdr(content-length) -m found }
      ${usual('K', `{ http_auth_bearer,sha2(256),hex,concat(:,txn.name),${map('keys')} -m found }`)}
      ${usual('N', '')}
      http-request set-var(txn.subject) var(txn.usual),field(6,|,0) if { var(txn.usual) -m beg T }
      http-request set-var(txn.expiry) http_auth_bearer,concat(:,txn.subject),sha2(256),table_gpt0(tokens) if { var(txn.usual) -m beg T }
      ${usual('T', FRESH)}
      http-request unset-var(txn.usual)`;
}

/** Of a token that was found good: until then. */
const FRESH = '{ date,sub(txn.expiry) -m int lt 0 }';

/** To be set where a request is sent on: until then it has what the client said. */
const REQUEST_ID = 'http-request set-header x-request-id %[var(txn.id)] if { var(txn.id) -m found }';

/** What is done to a usual request where it is sent on, and to others before. */
const PASSING_ON = lines`
      http-request set-path /score if { var(txn.usual) -m found }
      http-request del-header authorization
      ${REQUEST_ID}
      http-request wait-for-body time ${SLOWEST_REQUEST_S}s if { var(txn.usual) -m found }`;

/** Where a request that leaves a queue carries its route: a field of the PROXY protocol that is free for such use. */
const ROUTE_TLV = '0xE1';

/** Removes what belongs to a connection or to aksml alone. */
const CLEAN_REQUEST = lines`
      http-request del-header x-aksml- -m beg
      http-request lua.drop_named_request if { req.hdr(connection) -m found } !{ req.fhdr(connection) -i keep-alive close upgrade }
      http-request del-header te
      http-request set-header te trailers if { req.hdr(content-type) -m beg application/grpc }
      http-request del-header proxy-connection
      http-request del-header proxy-authorization
      http-request del-header http2-settings
      http-request del-header upgrade if { req.hdr(upgrade) -m found } !{ req.fhdr(upgrade) -i websocket }
      http-request set-header x-ms-request-id %[var(txn.given_id)] if { var(txn.given_id) -m len gt 0 }
      http-request del-header x-ms-client-request-id
      http-request set-header x-ms-client-request-id %[var(txn.client_id)] if { var(txn.client_id) -m len gt 0 }`;

const RESPONSE_HEADERS = lines`
      http-response del-header x-aksml- -m beg
      http-response del-header access-control- -m beg if { var(txn.flags) -m sub c }
      http-response lua.drop_named_response if { res.hdr(connection) -m found } !{ res.fhdr(connection) -i keep-alive close upgrade }
      http-after-response set-header x-request-id %[var(txn.id)] unless { res.hdr(x-request-id) -m found }
      http-after-response set-header x-ms-request-id %[var(txn.id)] unless { res.hdr(x-ms-request-id) -m found }
      http-after-response set-header azureml-model-deployment %[var(txn.target),field(2,:)] if { var(txn.usual) -m found }
      http-after-response set-header azureml-model-deployment %[var(txn.version)] if { var(txn.version) -m found }
      http-after-response allow if { var(txn.usual) -m found }
      http-after-response set-header x-ms-request-id %[var(txn.ms_id)] if { var(txn.ms_id) -m found }
      http-after-response set-header x-ms-client-request-id %[var(txn.client_id)] if { var(txn.client_id) -m len gt 0 }
      http-after-response set-header access-control-allow-origin %[var(txn.origin)] if { var(txn.origin) -m found }
      http-after-response set-header access-control-expose-headers "azureml-model-deployment, x-request-id, x-ms-request-id, x-ms-client-request-id, x-ms-run-function-failed, x-ms-run-fn-exec-ms" if { var(txn.origin) -m found }
      http-after-response set-header vary Origin if { var(txn.flags) -m sub c }`;

function refuse(status: number, text: string): string {
  return `http-request return status ${status} ${TEXT} lf-string "${text}" ${NOSNIFF}`;
}

const NO_SUCH_VERSION = refuse(
  404,
  'Service %[var(txn.name)] has no version of the name in the header azureml-model-deployment.',
);

/**
 * An endpoint's entry in the map `endpoints` is `flags|owner|limit|B|T|B|T…`: letters (see `route-maps.ts`), `-` or the peer backend of its owner, the
 * largest body in bytes, and of each version its backend and name `B`, then the cumulative threshold `T` below which it gets a request.
 */
function publicFrontend(settings: HaproxySettings): string {
  const { folder, address, port, tls } = settings;
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  return [
    'frontend public from front',
    LOG_FORMAT,
    `  bind ${address}:${port}`,
    ...(tls === undefined
      ? []
      : [`  bind ${address}:${tls.port} ssl crt-list ${join(folder, CERTIFICATE_LIST)} alpn h2,http/1.1`]),
    RESPONSE_HEADERS,
    ...(tls?.redirects
      ? [challenges(folder), REDIRECT, usualRequests(folder)]
      : [usualRequests(folder), challenges(folder)]),
    lines`
      http-request set-var(txn.id) req.fhdr(x-request-id) if { req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,100}$ }
      http-request set-var(txn.client_id) req.fhdr(x-ms-client-request-id),regsub([^A-Za-z0-9_-],,g),bytes(0,40)
      http-request set-var(txn.given_id) req.fhdr(x-ms-request-id),regsub([^A-Za-z0-9_-],,g),bytes(0,40)
      http-request set-var(txn.ms_id) var(txn.client_id) if { var(txn.client_id) -m len gt 0 }
      http-request set-var(txn.ms_id) var(txn.given_id) if { var(txn.given_id) -m len gt 0 }
      http-request set-var(txn.name) path,field(5,/)
      http-request set-var(txn.entry) var(txn.name),${map('endpoints')} if { path_beg /api/v1/service/ /api/v1/endpoint/ }
      http-request set-var(txn.flags) var(txn.entry),field(1,|)
      ${refuse(404, 'There is no such service here.')} unless { var(txn.entry) -m found }
      http-request set-var(txn.owner) var(txn.entry),field(2,|)
      http-request set-var(txn.limit) var(txn.entry),field(3,|)
      http-request set-var(txn.target) var(txn.entry),field(4,|)`,
    lines`
      http-request set-var(txn.rest) path,field(6,/,0)`,
    CLEAN_REQUEST,
    restrictions(folder),
    authentication(folder),
    lines`
      http-request del-header authorization
      http-request return status 200 content-type "text/html; charset=utf-8" string Healthy if !{ var(txn.rest) -m len gt 0 } METH_GET { var(txn.flags) -m sub h }
      http-request return status 503 ${TEXT} lf-string "No ready replicas for service %[var(txn.name)]" ${NOSNIFF} hdr retry-after 1 if !{ var(txn.rest) -m len gt 0 } METH_GET
      ${refuse(413, 'The request body is larger than the limit of %[var(txn.limit)] bytes.')} if { req.fhdr(content-length),sub(txn.limit) -m int gt 0 }
      http-request set-var(txn.session) req.cook(aksml-session) if { var(txn.flags) -m sub y }
      http-request set-var(txn.session) req.fhdr(aksml-session) if { var(txn.flags) -m sub y } { req.hdr(aksml-session) -m found }`,
    SPLITTING,
    lines`
      http-request set-var(txn.asked) req.fhdr(azureml-model-deployment) if { req.hdr(azureml-model-deployment) -m found }
      http-request set-var(txn.target) var(txn.name),concat(/,txn.asked),${map('versions')} if { var(txn.asked) -m found }
      ${NO_SUCH_VERSION} if { var(txn.asked) -m found } !{ var(txn.name),concat(/,txn.asked),${map('versions')} -m found }
      http-request set-var(txn.version) var(txn.target),field(2,:)
      http-request set-var(txn.route) var(txn.name),concat(/,txn.version),${map('routes')} if { var(txn.flags) -m sub o }
      http-request set-path /%[var(txn.rest)]
      ${refuse(404, 'Service %[var(txn.name)] has nothing at this path.')} if { var(txn.route) -m found } { path /swagger.json } !{ var(txn.route),field(2,|) -m len gt 0 }
      http-request set-path %[var(txn.route),field(2,|)] if { var(txn.route) -m found } { path /swagger.json }
      http-request set-path %[var(txn.route),field(1,|)] if { var(txn.route) -m found } { path /score }
      http-request set-header x-aksml-route %[var(txn.name)]/%[var(txn.version)]`,
    holding(folder),
    SENDING,
  ].join('\n');
}

/** What an ACME server asks, over plain HTTP, to see whose a host's name is. */
function challenges(folder: string): string {
  const answer = `path,field(4,/),map_str(${mapPath(folder, 'challenges')})`;
  return `  http-request return status 200 content-type text/plain lf-string "%[${answer}]" if { path_beg /.well-known/acme-challenge/ } { ${answer} -m found }`;
}

const REDIRECT =
  '  http-request redirect code 308 location https://%[req.hdr(host),host_only]%[pathq] unless { ssl_fc }';

/** Addresses, rates, and browsers' questions before a request, for endpoints that have to do with them. */
function restrictions(folder: string): string {
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  return lines`
      http-request set-var(txn.blocks) var(txn.name),${map('addresses')} if { var(txn.flags) -m sub a }
      http-request lua.check_address if { var(txn.flags) -m sub a }
      ${refuse(403, 'Service %[var(txn.name)] is not to be asked from this address.')} if { var(txn.flags) -m sub a } !{ var(txn.address_allowed) -m found }
      http-request set-var(txn.client) src,concat(/,txn.name) if { var(txn.flags) -m sub r }
      http-request track-sc1 var(txn.client) table rates if { var(txn.flags) -m sub r }
      http-request set-var(txn.rate) sc_http_req_rate(1,rates) if { var(txn.flags) -m sub r }
      http-request return status 429 ${TEXT} lf-string "Service %[var(txn.name)] is asked too often from this address." ${NOSNIFF} hdr retry-after 1 if { var(txn.flags) -m sub r } { var(txn.name),concat(//rate),${map('addresses')},sub(txn.rate) -m int lt 0 }
      http-request set-var(txn.origin) req.fhdr(origin) if { var(txn.flags) -m sub c } { var(txn.name),concat(/*),${map('cors')} -m found }
      http-request set-var(txn.asking) req.fhdr(origin) if { var(txn.flags) -m sub c }
      http-request set-var(txn.origin) var(txn.asking) if { var(txn.flags) -m sub c } { var(txn.name),concat(/,txn.asking),${map('cors')} -m found }
      http-request return status 200 hdr access-control-allow-methods "GET, POST" hdr access-control-max-age 600 hdr access-control-allow-headers %[req.fhdr(access-control-request-headers)] if METH_OPTIONS { var(txn.origin) -m found } { req.hdr(access-control-request-method) -m found } { req.hdr(access-control-request-headers) -m found }
      http-request return status 200 hdr access-control-allow-methods "GET, POST" hdr access-control-max-age 600 if METH_OPTIONS { var(txn.origin) -m found } { req.hdr(access-control-request-method) -m found }
      http-request return status 200 if METH_OPTIONS { var(txn.flags) -m sub c } { req.hdr(origin) -m found } { req.hdr(access-control-request-method) -m found }`;
}

/** A token is looked at once, and then remembered until it ends. */
function authentication(folder: string): string {
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  const unauthorized = `http-request return status 401 ${TEXT} string "The key or token is missing or not valid. Send it as: Authorization: Bearer KEY-OR-TOKEN" ${NOSNIFF} hdr www-authenticate Bearer`;
  const forTokens = '{ var(txn.flags) -m beg t }';
  return lines`
      ${unauthorized} if { var(txn.flags) -m beg k } !{ http_auth_bearer,sha2(256),hex,concat(:,txn.name),${map('keys')} -m found }
      http-request set-var(txn.token) http_auth_bearer if ${forTokens}
      http-request set-var(txn.subject) var(txn.name),${map('keys')} if ${forTokens}
      http-request set-var(txn.seen) var(txn.token),concat(:,txn.subject),sha2(256) if ${forTokens}
      http-request set-var(txn.expiry) var(txn.seen),table_gpt0(tokens) if ${forTokens}
      http-request lua.verify_token if ${forTokens} !${FRESH}
      ${unauthorized} if ${forTokens} !${FRESH}
      http-request track-sc0 var(txn.seen) table tokens if { var(txn.verified) -m found } ${forTokens}
      http-request sc-set-gpt0(0) var(txn.expiry) if { var(txn.verified) -m found } ${forTokens}`;
}

/** Chooses among the versions of an endpoint that has several with a share. */
const SPLITTING = lines`
      http-request set-var(txn.dice) var(txn.session),xxh32,mod(${PARTS}) if { var(txn.session) -m found }
      ${[2, 3, 4, 5, 6]
        .map((nth) => {
          const target = `var(txn.entry),field(${2 * nth + 2},|)`;
          const isReached = `{ var(txn.entry),field(${2 * nth + 1},|),sub(txn.dice) -m int le 0 }`;
          return `http-request set-var(txn.target) ${target} if { var(txn.flags) -m sub s } { ${target} -m len gt 0 } ${isReached}`;
        })
        .join('\n')}`;

/** What waits, is copied, or is too large for a buffer, goes by way of the activator. */
function holding(folder: string): string {
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  return lines`
      http-request set-var(txn.reasons) str(body) if { req.fhdr(content-length) -m int gt ${BUFFERED_BODY} }
      http-request set-var(txn.reasons) str(body) if { req.hdr(transfer-encoding) -m found }
      http-request set-var(txn.reasons) str(body) if { req.ver 2.0 } METH_POST !{ req.hdr(content-length) -m found } !{ req.hdr(content-type) -m beg application/grpc }
      http-request set-header x-aksml-hold %[var(txn.reasons)] if { var(txn.reasons) -m found }
      http-request add-header x-aksml-hold cold if { var(txn.target),field(3,:) -m str cold }
      http-request set-var(txn.mirror) var(txn.name),concat(//mirror),${map('routes')} if { var(txn.flags) -m sub m }
      http-request set-var(txn.copied) rand(${PARTS}) if { var(txn.flags) -m sub m }
      http-request add-header x-aksml-hold mirror=%[var(txn.mirror),field(2,|)] if { var(txn.flags) -m sub m } { var(txn.mirror),field(1,|),sub(txn.copied) -m int gt 0 }
      http-request set-header x-aksml-limit %[var(txn.limit)] if { req.hdr(x-aksml-hold) -m found }
      http-request set-header x-aksml-endpoint %[var(txn.name)] if { req.hdr(x-aksml-hold) -m found }
      http-request set-header x-aksml-version %[var(txn.version)] if { req.hdr(x-aksml-hold) -m found }`;
}

/** To the activator, to the owner, or to the version's own backend. */
const SENDING = lines`
      http-request wait-for-body time ${SLOWEST_REQUEST_S}s unless { req.hdr(x-aksml-hold) -m found } or { req.hdr(content-type) -m beg application/grpc } or { req.hdr(upgrade) -m found }
      http-request del-header expect unless { req.hdr(x-aksml-hold) -m found }
      http-request set-var(txn.backend) var(txn.target),field(1,:)
      http-request set-header x-aksml-twin %[var(txn.backend),regsub(^h,t)] if { var(txn.backend) -m beg h }
      use_backend %[var(txn.target),field(1,:)] if { var(txn.usual) -m found }
      use_backend activator if { req.hdr(x-aksml-hold) -m found } { nbsrv(activator) gt 0 }
      http-request set-var(txn.owner) var(txn.owner),regsub(^p,g) if { var(txn.owner) -m beg p } { req.hdr(content-type) -m beg application/grpc }
      use_backend %[var(txn.owner)] if { var(txn.owner) -m beg p g }
      use_backend %[var(txn.backend)]`;

/**
 * Requests that a router has looked at already: those of other routers, which know the secret, and over a socket that only this router's own
 * programs can reach those that the activator passes on and those that leave a queue because their endpoint has another owner, or their version
 * no replicas, by now. They say where they go by `x-aksml-route: ENDPOINT/VERSION`, or in {@link ROUTE_TLV}.
 */
function innerFrontend({ folder, address, hopPort }: HaproxySettings): string {
  const map = (name: MapName) => `map_str(${mapPath(folder, name)})`;
  return [
    'frontend inner from front',
    LOG_FORMAT,
    `  bind ${address}:${hopPort} name hop`,
    `  bind unix@${join(folder, SOCKETS.self)} mode 600 name self`,
    `  bind unix@${join(folder, SOCKETS.elsewhere)} mode 600 name elsewhere accept-proxy`,
    lines`
      http-request return status 404 unless { so_name -m str self elsewhere } or { req.hdr(x-aksml-hop),${map('hop')} -m str in usual }
      http-request set-var(txn.route) req.fhdr(x-aksml-route)
      http-request set-var(txn.target) var(txn.route),${map('versions')}
      http-request set-var(txn.name) var(txn.route),field(1,/)
      http-request set-var(txn.usual) bool(true) if { req.hdr(x-aksml-hop),${map('hop')} -m str usual } { var(txn.target) -m sub :hot: } { var(txn.target) -m beg b }
      http-request del-header x-aksml-hop if { var(txn.usual) -m found }
      http-request allow if { var(txn.usual) -m found }
      http-request unset-var(txn.target)
      http-request set-var(txn.route) fc_pp_tlv(${ROUTE_TLV}) if { so_name -m str elsewhere }
      http-request return status 503 ${TEXT} lf-string "No ready replicas for service %[var(txn.route),field(1,/)]" ${NOSNIFF} hdr retry-after 1 if { req.hdr_cnt(x-aksml-turn) gt 4 }
      http-request add-header x-aksml-turn 1
      http-request set-var(txn.passed) req.fhdr(x-aksml-version) if { req.hdr(x-aksml-pass) -m found }
      http-request set-var(txn.name) var(txn.route),field(1,/)
      http-request set-var(txn.route) var(txn.name),concat(/,txn.passed) if { var(txn.passed) -m found }
      http-request set-var(txn.entry) var(txn.name),${map('endpoints')}
      http-request return status 404 ${TEXT} string "There is no such service here." unless { var(txn.entry) -m found }
      http-request set-var(txn.asked) req.fhdr(azureml-model-deployment) if { req.hdr(azureml-model-deployment) -m found }
      ${NO_SUCH_VERSION} if { var(txn.asked) -m found } !{ var(txn.name),concat(/,txn.asked),${map('versions')} -m found }
      http-request set-var(txn.target) var(txn.route),${map('versions')}
      http-request set-var(txn.target) var(txn.entry),field(4,|) unless { var(txn.target),field(3,:) -m str hot } or { var(txn.asked) -m found } { var(txn.target) -m found }
      http-request set-var(txn.version) var(txn.target),field(2,:)
      http-request set-var(txn.owner) var(txn.entry),field(2,|) unless { req.hdr(x-aksml-hop) -m found }
      http-request set-header x-aksml-route %[var(txn.name)]/%[var(txn.version)]
      http-request set-var(txn.cold) bool(true) if { var(txn.target),field(3,:) -m str cold } !{ req.hdr(x-aksml-pass) -m found }
      http-request del-header x-aksml-hop
      http-request del-header x-aksml-pass
      http-request del-header x-aksml-endpoint
      http-request del-header x-aksml-version
      http-request del-header x-aksml-hold
      http-request del-header x-aksml-limit
      http-request del-header x-aksml-twin
      http-request set-header x-aksml-hold cold if { var(txn.cold) -m bool }
      http-request set-header x-aksml-limit %[var(txn.entry),field(3,|)] if { var(txn.cold) -m bool }
      http-request set-header x-aksml-endpoint %[var(txn.name)] if { var(txn.cold) -m bool }
      http-request set-header x-aksml-version %[var(txn.version)] if { var(txn.cold) -m bool }
      http-after-response set-header x-aksml-version %[var(txn.target),field(2,:)] unless { res.hdr(x-aksml-version) -m found }`,
    SENDING,
  ].join('\n');
}

/** The second half of held backends: it sees only what the first half has let through. */
function holdFrontend({ folder }: HaproxySettings): string {
  return lines`
    frontend hold from front
      no log
      bind unix@${join(folder, SOCKETS.hold)} mode 600
      http-request set-var(txn.backend) req.fhdr(x-aksml-twin)
      http-request set-var(txn.held) req.fhdr(x-aksml-twin),regsub(^t,h)
      http-request set-var(txn.replica) req.fhdr(x-aksml-replica)
      http-request set-var(txn.name) req.fhdr(x-aksml-route),field(1,/)
      use_backend %[var(txn.backend)]`;
}

function activatorBackend({ folder }: HaproxySettings): string {
  return lines`
    backend activator from passing
      ${REQUEST_ID}
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { res.hdr(x-aksml-version) -m found }
      server activator unix@${join(folder, SOCKETS.activator)}`;
}

/** Tokens that were found good, with the second until which they are; requests of each client to each endpoint that limits them. */
const TABLES = lines`
    backend tokens from passing
      stick-table type binary len 32 size 200k expire 24h store gpt0

    backend rates from passing
      stick-table type string len 160 size 200k expire 10s store http_req_rate(1s)`;

function poolBackends({ folder, servers }: HaproxySettings, queueClass: QueueClass): string[] {
  const { plain, held } = poolNames(queueClass);
  const self = `unix@${join(folder, SOCKETS.elsewhere)}`;
  const queue = `  timeout queue ${queueClass.queueMs}`;
  // With a limit: HAProxy gives what waits only to servers that have one.
  const elsewhere = `  server elsewhere ${self} maxconn 100000 pool-max-conn 0 send-proxy-v2 set-proxy-v2-tlv-fmt(${ROUTE_TLV}) %[var(txn.name)]/%[var(txn.target),field(2,:)] disabled`;
  const present = (name: string) => (servers.get(name) ?? []).map((line) => `  ${line}`);
  return [
    ...plain.map((name) => [`backend ${name} from version`, queue, elsewhere, ...present(name)].join('\n')),
    ...held.flatMap((name) => {
      const twin = twinOf(name);
      return [
        [`backend ${name} from held`, queue, elsewhere, ...present(name)].join('\n'),
        [`backend ${twin} from twin`, '  use-server %[var(txn.replica)] if TRUE', ...present(twin)].join('\n'),
      ];
    }),
  ];
}

function peerBackend({ folder, servers }: HaproxySettings, name: string): string {
  const backend = lines`
    backend ${name} from passing
      retries 2
      option redispatch 1
      http-reuse always
      http-request set-header x-aksml-hop %[str(out),map_str(${mapPath(folder, 'hop')})] unless { var(txn.usual) -m found }
      http-request set-header x-aksml-hop %[str(out-usual),map_str(${mapPath(folder, 'hop')})] if { var(txn.usual) -m found }
      http-request set-header x-aksml-route %[var(txn.name)]/%[var(txn.target),field(2,:)]
      ${PASSING_ON}
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { res.hdr(x-aksml-version) -m found }
      server itself unix@${join(folder, SOCKETS.self)} pool-max-conn 0 backup`;
  return [backend, ...(servers.get(name) ?? []).map((line) => `  ${line}`)].join('\n');
}

/** Without the indentation of the source; what is below a section's line is indented by two. */
function lines(strings: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  const text = strings.reduce((all, part, index) => `${all}${values[index - 1] ?? ''}${part}`);
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line, index, all) => line !== '' || (index > 0 && index < all.length - 1))
    .map((line) => (/^(global|defaults|frontend|backend)\b/.test(line) || line === '' ? line : `  ${line}`))
    .join('\n');
}
