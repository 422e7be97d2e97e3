const BLOCK = 512;
const NAME_BYTES = 100;
/** What 11 octal digits hold. */
const MAX_USTAR_SIZE = 8 * 1024 ** 3 - 1;

export interface TarEntry {
  /** Relative, `/`-separated, without a trailing slash. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link';
  readonly executable: boolean;
  /** Bytes of content. */
  readonly size: number;
  /** What a symbolic link says. */
  readonly target?: string;
  /** Permission bits other than the usual ones. */
  readonly mode?: number;
  /** User and group number; default 0. */
  readonly owner?: number;
}

/** Bytes from a file's content to the next header. */
export function tarPadding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** Two empty blocks end an archive. */
export const TAR_END = new Uint8Array(2 * BLOCK);

/**
 * The header of an entry, which depends on nothing but its arguments: no time, no owner, no machine. POSIX 1003.1 "ustar", with a PAX
 * header before it where the name is long or not ASCII.
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  const path = entry.kind === 'folder' ? `${entry.path}/` : entry.path;
  const records = [
    ...(isPlain(path) ? [] : [paxRecord('path', path)]),
    ...(entry.target === undefined || isPlain(entry.target) ? [] : [paxRecord('linkpath', entry.target)]),
    ...(entry.size > MAX_USTAR_SIZE ? [paxRecord('size', String(entry.size))] : []),
  ];
  const own = block(path, TYPE_FLAG[entry.kind], modeOf(entry), entry.size, entry);
  if (records.length === 0) return own;
  const extension = Buffer.from(records.join(''), 'utf8');
  return Buffer.concat([
    block('PaxHeader', 'x', 0o644, extension.length),
    extension,
    Buffer.alloc(tarPadding(extension.length)),
    own,
  ]);
}

const TYPE_FLAG = { file: '0', link: '2', folder: '5' } as const;

function modeOf({ kind, executable, mode }: TarEntry): number {
  if (mode !== undefined) return mode;
  if (kind === 'link') return 0o777;
  return kind === 'folder' || executable ? 0o755 : 0o644;
}

const TEMPLATE = template();

function block(
  path: string,
  type: string,
  mode: number,
  size: number,
  { owner, target }: Pick<TarEntry, 'owner' | 'target'> = {},
): Buffer {
  const header = Buffer.from(TEMPLATE);
  header.write(shortened(path), 0, NAME_BYTES, 'latin1');
  header.write(octal(mode, 7), 100, 'latin1');
  if (owner !== undefined) header.write(`${octal(owner, 7)}\0${octal(owner, 7)}`, 108, 'latin1');
  if (target !== undefined) header.write(shortened(target), 157, NAME_BYTES, 'latin1');
  header.write(octal(Math.min(size, MAX_USTAR_SIZE), 11), 124, 'latin1');
  header.write(type, 156, 'latin1');
  let sum = 0;
  for (let index = 0; index < BLOCK; index += 1) sum += header[index] ?? 0;
  header.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return header;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

/** For readers that do not know PAX. */
function shortened(path: string): string {
  return isPlain(path) ? path : path.slice(0, NAME_BYTES).replace(/[^ -~]/g, '_');
}

function template(): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write('0000000', 108, 'latin1');
  header.write('0000000', 116, 'latin1');
  header.write('00000000000', 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  return header;
}

function isPlain(path: string): boolean {
  if (path.length > NAME_BYTES) return false;
  for (let index = 0; index < path.length; index += 1) if (path.charCodeAt(index) > 0x7e) return false;
  return true;
}

/** A record tells its own length, the digits of the length included. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest, 'utf8');
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${rest}`;
}
