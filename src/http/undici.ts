/** What takes all of undici, to be imported by whoever needs it when it does. */
export { EnvHttpProxyAgent, ProxyAgent, Socks5ProxyAgent, WebSocket } from 'undici';
