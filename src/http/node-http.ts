/**
 * Node's own HTTP module, loaded where it is first used. An ES module that imports it reads every export of it, some of which load all of
 * Node's `fetch`: that takes longer than what most commands do.
 */
export function nodeHttp(): typeof import('node:http') {
  return process.getBuiltinModule('node:http');
}
