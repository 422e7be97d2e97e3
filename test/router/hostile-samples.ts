/** In what a hostile request hides: no replica may ever see it. */
export const HIDDEN = 'hidden-from-the-router';

const GET = 'GET /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\n';
const POST = 'POST /api/v1/service/open/score HTTP/1.1\r\nhost: x\r\n';
const NEXT = `GET /${HIDDEN} HTTP/1.1\r\nhost: x\r\n\r\n`;
const LENGTH = NEXT.length;

/** Each means one thing to one reader of HTTP and another to another (RFC 9112 §11.2 and what has been seen since). */
export const SMUGGLING: Readonly<Record<string, string>> = {
  'a length and chunks': `${POST}content-length: ${LENGTH + 5}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'chunks and a short length': `${POST}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n${LENGTH.toString(16)}\r\n${NEXT}\r\n0\r\n\r\n`,
  'two lengths': `${POST}content-length: 0\r\ncontent-length: ${LENGTH}\r\n\r\n${NEXT}`,
  'a list of lengths': `${POST}content-length: 0, ${LENGTH}\r\n\r\n${NEXT}`,
  'a length with a sign': `${POST}content-length: +${LENGTH}\r\n\r\n${NEXT}`,
  'a negative length': `${POST}content-length: -1\r\n\r\n${NEXT}`,
  'a hexadecimal length': `${POST}content-length: 0x10\r\n\r\n${NEXT}`,
  'an overflowing length': `${POST}content-length: 18446744073709551616\r\n\r\n${NEXT}`,
  'a length with a space before its colon': `${POST}content-length : ${LENGTH}\r\n\r\n${NEXT}`,
  'a tab before chunks': `${POST}transfer-encoding:\tchunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n${NEXT}`,
  'chunks with a vertical tab': `${POST}transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'chunks in quotes': `${POST}transfer-encoding: "chunked"\r\n\r\n0\r\n\r\n${NEXT}`,
  'chunks before identity': `${POST}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${NEXT}`,
  'identity before chunks': `${POST}transfer-encoding: identity\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'an unknown coding': `${POST}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'chunks twice': `${POST}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'a folded header': `${POST}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'a folded first header': `GET /api/v1/service/open/score HTTP/1.1\r\n x: y\r\nhost: x\r\n\r\n${NEXT}`,
  'bare line feeds': `GET /api/v1/service/open/score HTTP/1.1\nhost: x\ntransfer-encoding: chunked\n\n0\n\n${NEXT}`,
  'a bare carriage return': `${GET}x: y\rtransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'an empty header name': `${POST}: chunked\r\ncontent-length: 0\r\n\r\n${NEXT}`,
  'an empty header name before chunks': `${POST}:\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'a null byte in a header': `${POST}x: a\0b\r\ncontent-length: 0\r\n\r\n${NEXT}`,
  'a header without a colon': `${POST}transfer-encoding chunked\r\ncontent-length: 0\r\n\r\n${NEXT}`,
  'a chunk with a long size': `${POST}transfer-encoding: chunked\r\n\r\n0000000000000000000000000000000000000\r\n\r\n${NEXT}`,
  'a chunk with an overflowing size': `${POST}transfer-encoding: chunked\r\n\r\n1000000000000000A\r\n${NEXT}`,
  'a chunk with a negative size': `${POST}transfer-encoding: chunked\r\n\r\n-1\r\n${NEXT}`,
  'a chunk size in another notation': `${POST}transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n${NEXT}`,
  'a chunk extension with a line feed': `${POST}transfer-encoding: chunked\r\n\r\n2;\nxx\r\n0\r\n\r\n${NEXT}`,
  'a chunk that ends without a line end': `${POST}transfer-encoding: chunked\r\n\r\n2\r\nxx0\r\n\r\n${NEXT}`,
  'trailers with a length': `${POST}transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: ${LENGTH}\r\n\r\n${NEXT}`,
  'chunks in HTTP/1.0': `POST /api/v1/service/open/score HTTP/1.0\r\ntransfer-encoding: chunked\r\ncontent-length: ${LENGTH}\r\n\r\n${NEXT}`,
  'HTTP/0.9': `GET /api/v1/service/open/score\r\n\r\n${NEXT}`,
  'another version of HTTP': `GET /api/v1/service/open/score HTTP/1.2\r\nhost: x\r\n\r\n${NEXT}`,
  'no version of HTTP': `GET /api/v1/service/open/score HTTP/\r\nhost: x\r\n\r\n${NEXT}`,
  'a body of a GET': `${GET}content-length: ${LENGTH}\r\n\r\n${NEXT}`,
  'an offer of HTTP/2': `${GET}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${NEXT}`,
  'a tunnel': `CONNECT closed:80 HTTP/1.1\r\nhost: closed:80\r\n\r\n${NEXT}`,
  'two hosts': `GET /api/v1/service/open/score HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n${NEXT}`,
  'a host in the target': `GET http://closed/api/v1/service/open/score HTTP/1.1\r\nhost: x\r\n\r\n${NEXT}`,
  'a space in the target': `GET /api/v1/service/open/score /${HIDDEN} HTTP/1.1\r\nhost: x\r\n\r\n${NEXT}`,
  'a line end in the target': `GET /api/v1/service/open/score\r HTTP/1.1\r\nhost: x\r\n\r\n${NEXT}`,
  'headers that a connection header takes away': `${POST}connection: content-length, host, authorization\r\ncontent-length: 0\r\n\r\n${NEXT}`,
  'a length that a connection header takes away': `${POST}connection: content-length\r\ncontent-length: ${LENGTH}\r\n\r\n${NEXT}`,
};

const TO_CLOSED = ['/api/v1/service/closed/score', '/api/v1/endpoint/closed/score'];
/** Each would be a way to the endpoint `closed` for some reader. */
export const PATHS: readonly string[] = [
  ...TO_CLOSED,
  ...['..', '%2e%2e', '%2E.', '%252e%252e', '..%2f', '..;', '..%00', '%c0%ae%c0%ae', '.%09.'].flatMap((up) => [
    `/api/v1/service/open/${up}/closed/score`,
    `/api/v1/service/open/${up}/${up}/service/closed/score`,
    `/${up}/api/v1/service/closed/score`,
  ]),
  '//api/v1/service/closed/score',
  '/api/v1/service//closed/score',
  '/api/v1/service/./closed/score',
  '/api/v1/service/open%2f..%2fclosed/score',
  '/api/v1/service/%63losed/score',
  '/api/v1/service/CLOSED/score',
  '/api/v1/service/closed%00/score',
  '/api/v1/service/closed;x/score',
  '/api/v1/service/closed?/score',
  '/api/v1/service/closed#/score',
  '/api/v1/service/closed\\score',
  'http://x/api/v1/service/closed/score',
  'http://x@closed/api/v1/service/closed/score',
  `/api/v1/service/${'a'.repeat(5000)}/score`,
  '/api/v1/service/',
  '/api/v1/service',
  '/api/v2/service/closed/score',
  '/%61pi/v1/service/closed/score',
  '/',
  '*',
  '/metrics',
  '/.well-known/acme-challenge/../../api/v1/service/closed/score',
];
