import { join } from 'node:path';
import { CERTIFICATE_LIST } from './certificates.ts';
import { lines, lookupIn, NOSNIFF, PARTS, SOCKETS, TEXT } from './haproxy-names.ts';
import {
  authentication,
  CLEAN_REQUEST,
  challenges,
  holding,
  NO_SUCH_VERSION,
  REQUEST_ID,
  RESPONSE_HEADERS,
  ROUTE_TLV,
  refuse,
  restrictions,
  SENDING,
  SPLITTING,
  toHttps,
  usualRequests,
} from './haproxy-rules.ts';
import type { HaproxySettings } from './haproxy-settings.ts';

/** Of many requests a share is told of, in parts of {@link LOG_PARTS}: that of the variable `proc.share`, all while it is not set. */
export const LOG_PARTS = 1024;
const LOG_FORMAT = [
  '  log-format "%b %s %ST %Tw %Ta %tsc"',
  `  http-request set-var(txn.dice) rand(${PARTS})`,
  `  http-request set-log-level silent if { var(txn.dice),mod(${LOG_PARTS}),sub(proc.share) -m int ge 0 }`,
].join('\n');

/**
 * An endpoint's entry in the map `endpoints` is `flags|owner|limit|B|T|B|T…`: letters (see `route-maps.ts`), `-` or the peer backend of its owner, the
 * largest body in bytes, and of each version its backend and name `B`, then the cumulative threshold `T` below which it gets a request.
 */
export function publicFrontend(settings: HaproxySettings): string {
  const { folder, address, port, tls } = settings;
  const map = lookupIn(folder);
  return [
    'frontend public from front',
    LOG_FORMAT,
    REQUEST_ID,
    `  bind ${address}:${port}`,
    ...(tls === undefined
      ? []
      : [`  bind ${address}:${tls.port} ssl crt-list ${join(folder, CERTIFICATE_LIST)} alpn h2,http/1.1`]),
    RESPONSE_HEADERS,
    ...(tls?.redirects ? [toHttps(folder), usualRequests(folder)] : [usualRequests(folder), challenges(folder)]),
    lines`
      http-request set-var(txn.id) req.fhdr(x-request-id) if { req.fhdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,100}$ }
      http-request del-header x-request-id
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
      http-request set-var(txn.target) var(txn.entry),field(4,|)
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

/**
 * Requests that a router has looked at already: those of other routers, which know the secret, and over a socket that only this router's own
 * programs can reach those that the activator passes on and those that leave a queue because their endpoint has another owner, or their version
 * no replicas, by now. They say where they go by `x-aksml-route: ENDPOINT/VERSION`; what leaves a queue in {@link ROUTE_TLV}, and a usual request by
 * what follows the secret: `x-aksml-hop: SECRET|ENDPOINT/VERSION`.
 */
export function innerFrontend({ folder, address, hopPort }: HaproxySettings): string {
  const map = lookupIn(folder);
  const secret = `req.fhdr(x-aksml-hop),field(1,|),${map('hop')}`;
  return [
    'frontend inner from front',
    LOG_FORMAT,
    `  bind ${address}:${hopPort} name hop`,
    `  bind unix@${join(folder, SOCKETS.self)} mode 600 name self`,
    `  bind unix@${join(folder, SOCKETS.elsewhere)} mode 600 name elsewhere accept-proxy`,
    lines`
      http-request set-var(txn.route) req.fhdr(x-aksml-hop),field(2,|)
      http-request set-var(txn.target) var(txn.route),${map('versions')}
      http-request set-var(txn.usual) var(txn.route),field(1,/) if { ${secret} -m str usual } { var(txn.target) -m sub :hot: } { var(txn.target) -m beg b }
      http-request del-header x-aksml-hop if { var(txn.usual) -m found }
      http-request allow if { var(txn.usual) -m found }
      http-request return status 404 unless { so_name -m str self elsewhere } or { ${secret} -m str in usual }
      http-request set-var(txn.route) req.fhdr(x-aksml-route) if { req.hdr(x-aksml-route) -m found }
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
      http-after-response set-header x-aksml-version %[var(txn.target),field(2,:)] unless { var(txn.usual) -m found } or { res.hdr(x-aksml-version) -m found }`,
    SENDING,
  ].join('\n');
}

/** The second half of held backends: it sees only what the first half has let through. */
export function holdFrontend({ folder }: HaproxySettings): string {
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
