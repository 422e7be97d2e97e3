import { BUFFERED_BODY, lines, lookupIn, NOSNIFF, PARTS, SLOWEST_REQUEST_S, TEXT } from './haproxy-names.ts';

/** Names of headers that ask for more than the usual. */
const UNUSUAL =
  '(^|,)(x-aksml-|x-request-id|x-ms-|te(,|$)|proxy-|http2-settings|upgrade|azureml-model-deployment|aksml-session|transfer-encoding|expect)';

/**
 * Nearly all requests ask a service that wants nothing special for a score, and ask for nothing special themselves. Each rule costs, if only to
 * find that it does not apply: so these are told from the others by a single look into a map of whole paths, and go no further.
 *
 * An entry is one target or, where two versions share the traffic, `TARGET^T^TARGET` with the threshold below which the first gets a request. Such a
 * target says how a request is authenticated (`K`, `T`, `N`) in place of its state, and ends with `ENDPOINT:ERA:`: other keys, and another one whose
 * tokens are good, are another era. Both, in `txn.usual`, mark a usual request.
 *
 * A key costs a digest, and clients send the same one again and again: so a connection remembers the last header that was found good, for which
 * endpoint, in which era, and until when. It is remembered in the connection's own memory, which no command shows.
 */
export function usualRequests(folder: string): string {
  const map = lookupIn(folder);
  const isOf = (auth: string) => `{ var(txn.target),field(3,:) -m str ${auth} }`;
  const usual = (proof: string) =>
    `http-request allow if ${proof} !{ req.hdr_names -m reg ${UNUSUAL} } !{ req.fhdr(connection) -m reg -i ^(?!(keep-alive|close)$) } !{ req.fhdr(content-length) -m int gt ${BUFFERED_BODY} }`;
  const isUsual = '{ var(txn.usual) -m found }';
  const isGood = '{ var(txn.era) -m found }';
  return lines`
      http-request set-var(txn.id) uuid()
      http-request set-var(txn.target) path,${map('usual')}
      http-request set-var(txn.target) var(txn.target),field(3,^) if { var(txn.target),field(2,^),sub(txn.dice) -m int le 0 }
      http-request set-var(txn.usual) var(txn.target),field(6,:,2)
      http-request unset-var(txn.usual) if { fc_http_major 2 } !METH_GET !{ req.hdr(content-length) -m found }
      ${usual('{ req.fhdr(authorization,1),concat(:,txn.usual),secure_memcmp(sess.proof) -m bool } { date,sub(sess.until) -m int lt 0 }')}
      ${usual(`${isOf('N')} ${isUsual}`)}
      http-request set-var(txn.service) var(txn.usual),field(1,:) if ${isUsual}
      http-request set-var(txn.era) http_auth_bearer,sha2(256),hex,concat(:,txn.service),${map('keys')} if ${isOf('K')} ${isUsual}
      http-request set-var(sess.until) int(${NEVER}) if ${isGood}
      http-request set-var(txn.subject) var(txn.service),${map('keys')} if ${isOf('T')} ${isUsual}
      http-request set-var(txn.expiry) http_auth_bearer,concat(:,txn.subject),sha2(256),table_gpt0(tokens) if ${isOf('T')} ${isUsual}
      http-request set-var(txn.era) var(txn.subject),field(3,|) if ${isOf('T')} ${isUsual} ${FRESH}
      http-request set-var(sess.until) var(txn.expiry) if ${isOf('T')} ${isGood}
      http-request set-var(sess.proof) req.fhdr(authorization,1),concat(:,txn.service),concat(:,txn.era) if ${isGood}
      ${usual(isGood)}
      http-request unset-var(txn.usual)
      http-request unset-var(txn.target)`;
}

/** A second that is not reached. */
const NEVER = 1e12;

/** Of a token that was found good: until then. */
const FRESH = '{ date,sub(txn.expiry) -m int lt 0 }';

/**
 * Of the requests that clients send: HAProxy adds it once to what it sends on, whatever the backend, which is cheaper than a rule. What a client
 * said is to be deleted.
 */
export const REQUEST_ID = lines`
      unique-id-format %[var(txn.id)]
      unique-id-header x-request-id`;

/** An endpoint's name, in what is said of any request. */
export const NAME = '%[var(txn.name)]%[var(txn.usual),field(1,:)]';

/** What is done to a usual request where it is sent on, and to others before. */
export const PASSING_ON = lines`
      http-request set-path /score if { var(txn.usual) -m found }
      http-request del-header authorization
      http-request wait-for-body time ${SLOWEST_REQUEST_S}s if { var(txn.usual) -m found }`;

/** Where a request that leaves a queue carries its route: a field of the PROXY protocol that is free for such use. */
export const ROUTE_TLV = '0xE1';

/** Removes what belongs to a connection or to aksml alone. */
export const CLEAN_REQUEST = lines`
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

/** In answers of replicas that are to be looked at. */
const UNUSUAL_ANSWER = 'x-aksml-|(^|,)(connection|azureml-model-deployment)(,|$)';

/** In backends: what is answered to a usual request without anything unusual passes at once, anything else as what other requests get. */
export const USUAL_RESPONSES = lines`
      http-response allow if { var(txn.usual) -m found } { status lt 500 } !{ res.hdr_names -m reg ${UNUSUAL_ANSWER} }
      http-response set-var(txn.version) var(txn.target),field(2,:) if { var(txn.usual) -m found }
      http-response set-var(txn.name) var(txn.usual),field(1,:) if { var(txn.usual) -m found }
      http-response unset-var(txn.usual)`;

/** The version that a backend says has answered has come from another router, or from this one in a second pass. */
export const RESPONSE_HEADERS = lines`
      http-response allow if { var(txn.usual) -m found }
      http-response del-header x-aksml- -m beg
      http-response del-header access-control- -m beg if { var(txn.flags) -m sub c }
      http-response lua.drop_named_response if { res.hdr(connection) -m found } !{ res.fhdr(connection) -i keep-alive close upgrade }
      http-after-response add-header azureml-model-deployment %[var(txn.target),field(2,:)] if { var(txn.usual) -m found }
      http-after-response allow if { var(txn.usual) -m found } { res.hdr(x-ms-request-id) -m found }
      http-after-response set-header azureml-model-deployment %[var(txn.version)] if { var(txn.version) -m found }
      http-after-response set-header x-request-id %[var(txn.id)] unless { res.hdr(x-request-id) -m found }
      http-after-response set-header x-ms-request-id %[var(txn.id)] unless { res.hdr(x-ms-request-id) -m found }
      http-after-response allow if { var(txn.usual) -m found }
      http-after-response set-header x-ms-request-id %[var(txn.ms_id)] if { var(txn.ms_id) -m found }
      http-after-response set-header x-ms-client-request-id %[var(txn.client_id)] if { var(txn.client_id) -m len gt 0 }
      http-after-response set-header access-control-allow-origin %[var(txn.origin)] if { var(txn.origin) -m found }
      http-after-response set-header access-control-expose-headers "azureml-model-deployment, x-request-id, x-ms-request-id, x-ms-client-request-id, x-ms-run-function-failed, x-ms-run-fn-exec-ms" if { var(txn.origin) -m found }
      http-after-response set-header vary Origin if { var(txn.flags) -m sub c }`;

export function refuse(status: number, text: string): string {
  return `http-request return status ${status} ${TEXT} lf-string "${text}" ${NOSNIFF}`;
}

export const NO_SUCH_VERSION = refuse(
  404,
  'Service %[var(txn.name)] has no version of the name in the header azureml-model-deployment.',
);

/** What an ACME server asks, over plain HTTP, to see whose a host's name is. */
export function challenges(folder: string): string {
  const answer = `path,field(4,/),${lookupIn(folder)('challenges')}`;
  return `  http-request return status 200 content-type text/plain lf-string "%[${answer}]" if { path_beg /.well-known/acme-challenge/ } { ${answer} -m found }`;
}

/** Where HTTPS is to be used, plain HTTP is for ACME alone; the rest is sent to the port that clients of the endpoint reach HTTPS by. */
export function toHttps(folder: string): string {
  const port = `path,field(5,/),${lookupIn(folder)('https-ports')}`;
  return [
    '  http-request set-var(txn.id) uuid() unless { ssl_fc }',
    challenges(folder),
    `  http-request redirect code 308 location https://%[req.hdr(host),host_only]%[${port}]%[pathq] unless { ssl_fc }`,
  ].join('\n');
}

/** Addresses, rates, and browsers' questions before a request, for endpoints that have to do with them. */
export function restrictions(folder: string): string {
  const map = lookupIn(folder);
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
export function authentication(folder: string): string {
  const map = lookupIn(folder);
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
export const SPLITTING = lines`
      http-request set-var(txn.dice) var(txn.session),xxh32,mod(${PARTS}) if { var(txn.session) -m found }
      ${[2, 3, 4, 5, 6]
        .map((nth) => {
          const target = `var(txn.entry),field(${2 * nth + 2},|)`;
          const isReached = `{ var(txn.entry),field(${2 * nth + 1},|),sub(txn.dice) -m int le 0 }`;
          return `http-request set-var(txn.target) ${target} if { var(txn.flags) -m sub s } { ${target} -m len gt 0 } ${isReached}`;
        })
        .join('\n')}`;

/** What waits, is copied, or is too large for a buffer, goes by way of the activator. */
export function holding(folder: string): string {
  const map = lookupIn(folder);
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
export const SENDING = lines`
      http-request wait-for-body time ${SLOWEST_REQUEST_S}s unless { req.hdr(x-aksml-hold) -m found } or { req.hdr(content-type) -m beg application/grpc } or { req.hdr(upgrade) -m found }
      http-request del-header expect unless { req.hdr(x-aksml-hold) -m found }
      http-request set-var(txn.backend) var(txn.target),field(1,:)
      http-request set-header x-aksml-twin %[var(txn.backend),regsub(^h,t)] if { var(txn.backend) -m beg h }
      use_backend %[var(txn.target),field(1,:)] if { var(txn.usual) -m found }
      use_backend activator if { req.hdr(x-aksml-hold) -m found } { nbsrv(activator) gt 0 }
      http-request set-var(txn.owner) var(txn.owner),regsub(^p,g) if { var(txn.owner) -m beg p } { req.hdr(content-type) -m beg application/grpc }
      use_backend %[var(txn.owner)] if { var(txn.owner) -m beg p g }
      use_backend %[var(txn.backend)]`;
