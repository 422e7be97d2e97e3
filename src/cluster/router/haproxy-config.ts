import { join } from 'node:path';
import { holdFrontend, innerFrontend, publicFrontend } from './haproxy-frontends.ts';
import {
  grpcPeer,
  lines,
  lookupIn,
  NOSNIFF,
  peerNames,
  poolNames,
  SLOWEST_REQUEST_S,
  SOCKETS,
  TEXT,
  twinOf,
  USUAL_PATIENCE_MS,
} from './haproxy-names.ts';
import { NAME, PASSING_ON, ROUTE_TLV, USUAL_RESPONSES } from './haproxy-rules.ts';
import type { HaproxySettings, QueueClass } from './haproxy-settings.ts';

const BUFFER = 64 * 1024;
/** Of freed memory that each thread keeps for itself, so that a buffer is not got from the system for every request. Bytes. */
const HOT_MEMORY = 8 * 1024 * 1024;

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
      http-error status 503 ${TEXT} lf-string "%[${reason('refused.map')}] ${NAME}%[${why}]" ${NOSNIFF} hdr retry-after 1
      http-error status 504 ${TEXT} lf-string "Service ${NAME} did not answer within its scoring time-out of %[var(txn.target),field(4,:)] ms" ${NOSNIFF}`;
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
    // A replica that works for a client who has gone is still at work: its place is not free. Where a connection to a server that was used before
    // breaks over a request, HAProxy hangs up on the client instead of saying 502. v1's scoring server closes its connections after every answer,
    // and "safe" gives what comes first on a client's connection one of its own. For users' own servers, which are held, `lua.unanswered` says 502:
    // that takes about 25 µs of a request, half of what a usual one costs.
    common.replace('option abortonclose', 'no option abortonclose'),
    answers,
    lines`
      balance leastconn
      retries 3
      option redispatch 1
      http-reuse safe
      timeout server ${USUAL_PATIENCE_MS}
      http-request set-timeout server var(txn.target),field(5,:) unless { var(txn.target) -m sub :${USUAL_PATIENCE_MS}: }
      ${PASSING_ON}
      ${USUAL_RESPONSES}
      http-response allow if { status lt 500 } !{ res.hdr_names -m sub x-aksml- }
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { srv_name -m str elsewhere } { res.hdr(x-aksml-version) -m found }
      http-response del-header x-aksml- -m beg unless { srv_name -m str elsewhere }
      http-response allow if { status lt 500 }
      http-response set-var(txn.limit_ms) var(txn.target),field(4,:)
      http-response return status 504 ${TEXT} lf-string "Service ${NAME} did not answer within its scoring time-out of %[var(txn.target),field(4,:)] ms" ${NOSNIFF} if { res.timer.hdr,sub(txn.limit_ms) -m int ge 0 }
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

function activatorBackend({ folder }: HaproxySettings): string {
  return lines`
    backend activator from passing
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
  const elsewhere = `  server elsewhere ${self} maxconn 100000 pool-max-conn 0 send-proxy-v2 set-proxy-v2-tlv-fmt(${ROUTE_TLV}) ${NAME}/%[var(txn.target),field(2,:)] disabled`;
  const present = (name: string) => (servers.get(name) ?? []).map((line) => `  ${line}`);
  return [
    ...plain.map((name) => [`backend ${name} from version`, queue, elsewhere, ...present(name)].join('\n')),
    ...held.flatMap((name) => {
      const twin = twinOf(name);
      return [
        [`backend ${name} from held`, '  filter lua.unanswered', queue, elsewhere, ...present(name)].join('\n'),
        [`backend ${twin} from twin`, '  use-server %[var(txn.replica)] if TRUE', ...present(twin)].join('\n'),
      ];
    }),
  ];
}

function peerBackend({ folder, servers }: HaproxySettings, name: string): string {
  const hop = lookupIn(folder)('hop');
  const backend = lines`
    backend ${name} from passing
      retries 2
      option redispatch 1
      http-reuse safe
      http-request set-header x-aksml-hop %[str(out-usual),${hop}]|%[var(txn.usual),field(1,:)]/%[var(txn.target),field(2,:)] if { var(txn.usual) -m found }
      http-request set-header x-aksml-hop %[str(out),${hop}] unless { var(txn.usual) -m found }
      ${PASSING_ON}
      ${USUAL_RESPONSES}
      http-response set-var(txn.version) res.fhdr(x-aksml-version) if { res.hdr(x-aksml-version) -m found }
      server itself unix@${join(folder, SOCKETS.self)} pool-max-conn 0 backup`;
  return [backend, ...(servers.get(name) ?? []).map((line) => `  ${line}`)].join('\n');
}
