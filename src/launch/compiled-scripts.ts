import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

export interface CompiledScriptsOptions {
  /** Nothing is kept as long as there is no such folder. */
  readonly root: string;
  /** Within `root`. */
  readonly folder: string;
}

/** Length of what precedes the data in a file. V8 wants the data aligned. */
const HEADER_BYTES = 8;

/**
 * Scripts with what V8 has compiled of them, kept from one process to the next. Node's own compile cache has just what is compiled as a script
 * is loaded; here are the functions, too, that a run has called. What was kept is never relied on: a script that was replaced, another Node,
 * or a damaged file lead to a run that compiles everything, and keeps it anew.
 */
export class CompiledScripts {
  readonly #root: string;
  readonly #folder: string;

  constructor({ root, folder }: CompiledScriptsOptions) {
    this.#root = root;
    this.#folder = folder;
  }

  /** Runs the CommonJS file. `purpose` names what it is run for, which decides what of it is called. */
  run(path: string, purpose: string): void {
    const place = this.#placeOf(path);
    const file = join(place, purpose);
    const kept = read(file);
    const text = readFileSync(path, 'utf8');
    const script = new Script(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, {
      filename: path,
      ...(kept === undefined ? {} : { cachedData: kept }),
    });
    if (kept === undefined || script.cachedDataRejected === true) {
      // Loading it takes milliseconds, which most runs can do without.
      const { setFlagsFromString } = process.getBuiltinModule('node:v8');
      // V8 forgets the code of what has not been called for a while, and without that of the outermost function parses all of it again.
      setFlagsFromString('--no-flush-bytecode');
      process.once('exit', (code) => {
        // The data fit a process with the same flags alone.
        setFlagsFromString('--flush-bytecode');
        if (code === 0) this.#keep(place, file, script.createCachedData());
      });
    }
    const module = { exports: {} };
    script.runInThisContext()(module.exports, createRequire(path), module, path, dirname(path));
  }

  /** A script that was replaced has another place beside its former one. */
  #placeOf(path: string): string {
    const { size, ctimeNs } = statSync(path, { bigint: true });
    return join(this.#folder, `${process.version}-${process.arch}-${crc32(path)}`, `${size}-${ctimeNs}`);
  }

  #keep(place: string, file: string, data: Buffer): void {
    try {
      statSync(this.#root);
      if (mkdirSync(place, { recursive: true, mode: 0o700 }) !== undefined) forgetOthers(place);
      const header = Buffer.alloc(HEADER_BYTES);
      header.writeUInt32LE(crc32(data));
      const made = `${file}.${process.pid}`;
      try {
        writeFileSync(made, Buffer.concat([header, data]), { mode: 0o600 });
        renameSync(made, file);
      } finally {
        rmSync(made, { force: true });
      }
    } catch {
      // The next run takes as long as this one.
    }
  }
}

function forgetOthers(place: string): void {
  for (const name of readdirSync(dirname(place))) {
    if (name !== basename(place)) rmSync(join(dirname(place), name), { recursive: true, force: true });
  }
}

function read(file: string): Buffer | undefined {
  try {
    const content = readFileSync(file);
    const data = content.subarray(HEADER_BYTES);
    return content.readUInt32LE() === crc32(data) ? data : undefined;
  } catch {
    return undefined;
  }
}
