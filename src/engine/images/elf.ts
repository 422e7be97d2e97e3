/** What a 64-bit little-endian ELF file says of how it is loaded, and how to make it load from a folder of its own. */

const PROGRAM_HEADERS_AT = 32;
const PROGRAM_HEADER_SIZE = 56;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DYNAMIC_ENTRY = 16;
const DT_NULL = 0n;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;
const DT_RPATH = 15n;

interface Segment {
  readonly type: number;
  /** Where its header is in the file. */
  readonly header: number;
  readonly offset: number;
  readonly address: bigint;
  readonly size: number;
}

interface Dynamic {
  readonly tag: bigint;
  readonly value: bigint;
  /** Where the entry is in the file. */
  readonly offset: number;
}

/** Names of the libraries that it is loaded with, such as `libc.so.6`. @throws Error for what is no such file */
export function neededLibraries(file: Buffer): readonly string[] {
  const segments = segmentsOf(file);
  const dynamic = dynamicOf(file, segments);
  const strings = offsetOf(segments, tableOf(dynamic));
  return dynamic.filter(({ tag }) => tag === DT_NEEDED).map(({ value }) => textAt(file, strings + Number(value)));
}

/**
 * The same program, loaded by `loader` and with the libraries of `libraries` (which may begin with `$ORIGIN`), whatever the system has.
 * The path of the loader goes to the end of the file, and the path of the libraries to where the old loader's was.
 * @throws Error where there is no room for it
 */
export function relocated(program: Buffer, { loader, libraries }: { loader: string; libraries: string }): Buffer {
  const segments = segmentsOf(program);
  const interpreter = segments.find(({ type }) => type === PT_INTERP);
  const dynamic = dynamicOf(program, segments);
  const free = freeEntry(program, segments);
  if (!interpreter || free === undefined || libraries.length >= interpreter.size) {
    throw new Error('the program has no room for another path of its libraries');
  }
  const path = Buffer.from(`${loader}\0`);
  const made = Buffer.concat([program, path]);
  made.fill(0, interpreter.offset, interpreter.offset + interpreter.size);
  made.write(libraries, interpreter.offset, 'latin1');
  made.writeBigUInt64LE(BigInt(program.length), interpreter.header + 8);
  made.writeBigUInt64LE(BigInt(path.length), interpreter.header + 32);
  made.writeBigUInt64LE(DT_RPATH, free);
  // Strings are found by their distance from the table, which may be a negative one.
  made.writeBigUInt64LE(BigInt.asUintN(64, interpreter.address - tableOf(dynamic)), free + 8);
  return made;
}

function segmentsOf(file: Buffer): readonly Segment[] {
  if (file.subarray(0, 6).toString('latin1') !== '\x7fELF\x02\x01') throw new Error('not a 64-bit ELF file');
  const start = Number(file.readBigUInt64LE(PROGRAM_HEADERS_AT));
  const count = file.readUInt16LE(56);
  return Array.from({ length: count }, (_, index) => {
    const header = start + index * PROGRAM_HEADER_SIZE;
    return {
      type: file.readUInt32LE(header),
      header,
      offset: Number(file.readBigUInt64LE(header + 8)),
      address: file.readBigUInt64LE(header + 16),
      size: Number(file.readBigUInt64LE(header + 32)),
    };
  });
}

function entriesOf(file: Buffer, segments: readonly Segment[]): readonly Dynamic[] {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  if (!segment) return [];
  return Array.from({ length: segment.size / DYNAMIC_ENTRY }, (_, index) => {
    const offset = segment.offset + index * DYNAMIC_ENTRY;
    return { tag: file.readBigUInt64LE(offset), value: file.readBigUInt64LE(offset + 8), offset };
  });
}

function dynamicOf(file: Buffer, segments: readonly Segment[]): readonly Dynamic[] {
  const entries = entriesOf(file, segments);
  const end = entries.findIndex(({ tag }) => tag === DT_NULL);
  return end < 0 ? entries : entries.slice(0, end);
}

/** Linkers leave some; the last one ends the list. */
function freeEntry(file: Buffer, segments: readonly Segment[]): number | undefined {
  const [first, second] = entriesOf(file, segments).filter(({ tag }) => tag === DT_NULL);
  return second === undefined ? undefined : first?.offset;
}

function tableOf(dynamic: readonly Dynamic[]): bigint {
  return dynamic.find(({ tag }) => tag === DT_STRTAB)?.value ?? 0n;
}

function offsetOf(segments: readonly Segment[], address: bigint): number {
  const segment = segments.find(
    ({ type, address: start, size }) => type === PT_LOAD && address >= start && address < start + BigInt(size),
  );
  if (!segment) throw new Error('an address of the file is outside of it');
  return segment.offset + Number(address - segment.address);
}

function textAt(file: Buffer, offset: number): string {
  return file.subarray(offset, file.indexOf(0, offset)).toString('latin1');
}
