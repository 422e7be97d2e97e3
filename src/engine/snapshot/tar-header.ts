const BLOCK = 512;
const NAME_BYTES = 100;
const LAST_PLAIN = 0x7e;
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

/** Bytes that an entry's header takes at most. */
export function tarHeaderBound({ path, target = '' }: TarEntry): number {
  return 4 * BLOCK + MOST_UTF8_BYTES * (path.length + target.length);
}

/** Of one UTF-16 code unit. */
const MOST_UTF8_BYTES = 3;

/**
 * The header of an entry, which depends on nothing but its arguments: no time, no owner, no machine. POSIX 1003.1 "ustar", with a PAX
 * header before it where the name is long or not ASCII.
 */
export function tarHeader(entry: TarEntry): Uint8Array {
  const header = Buffer.allocUnsafe(tarHeaderBound(entry));
  return header.subarray(0, writeTarHeader(entry, header, 0));
}

/** Writes {@link tarHeader} into `target`, which has room for it, and answers its length. */
export function writeTarHeader(entry: TarEntry, target: Buffer, start: number): number {
  const { kind, size } = entry;
  const path = kind === 'folder' ? `${entry.path}/` : entry.path;
  const link = entry.target ?? '';
  const block = { type: TYPE_FLAG[kind], mode: modeOf(entry), size, owner: entry.owner ?? 0 };
  if (size <= MAX_USTAR_SIZE && writeBlock(target, start, block, path, link)) return BLOCK;
  const records =
    (isPlain(path) ? '' : paxRecord('path', path)) +
    (isPlain(link) ? '' : paxRecord('linkpath', link)) +
    (size > MAX_USTAR_SIZE ? paxRecord('size', String(size)) : '');
  const bytes = target.write(records, start + BLOCK, 'utf8');
  const pax = { type: 'x', mode: 0o644, size: bytes, owner: 0 };
  writeBlock(target, start, pax, 'PaxHeader', '');
  const end = start + BLOCK + bytes;
  const at = end + tarPadding(bytes);
  target.fill(0, end, at);
  writeBlock(target, at, block, shortened(path), shortened(link));
  return at + BLOCK - start;
}

const TYPE_FLAG = { file: '0', link: '2', folder: '5' } as const;

function modeOf({ kind, executable, mode }: TarEntry): number {
  if (mode !== undefined) return mode;
  if (kind === 'link') return 0o777;
  return kind === 'folder' || executable ? 0o755 : 0o644;
}

const TEMPLATE = template();
const TEMPLATE_SUM = TEMPLATE.reduce((sum, byte) => sum + byte, 0);

interface Block {
  readonly type: string;
  readonly mode: number;
  readonly size: number;
  readonly owner: number;
}

/**
 * Answers whether the names are such that a block can hold them. Character by character into place: allocating for each of many small
 * files, or looking at its name twice, takes longer than all of this.
 */
function writeBlock(
  header: Buffer,
  at: number,
  { type, mode, size, owner }: Block,
  path: string,
  link: string,
): boolean {
  header.set(TEMPLATE, at);
  const names = writeName(header, at, path) + writeName(header, at + 157, link);
  if (Number.isNaN(names)) return false;
  const typeFlag = type.charCodeAt(0);
  header[at + 156] = typeFlag;
  const sum =
    TEMPLATE_SUM +
    names +
    typeFlag +
    writeOctal(header, at + 100, mode, 7) +
    writeOctal(header, at + 108, owner, 7) +
    writeOctal(header, at + 116, owner, 7) +
    writeOctal(header, at + 124, Math.min(size, MAX_USTAR_SIZE), 11);
  header.set(NO_SUM, at + 148);
  writeOctal(header, at + 148, sum, 6);
  return true;
}

/** Answers the sum of what it wrote, for the header's checksum; not a number when the name is no {@link isPlain} one. */
function writeName(header: Buffer, at: number, text: string): number {
  if (text.length > NAME_BYTES) return Number.NaN;
  let sum = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > LAST_PLAIN) return Number.NaN;
    header[at + index] = code;
    sum += code;
  }
  return sum;
}

/** As {@link writeName}; instead of the zeros of the template. */
function writeOctal(header: Buffer, at: number, value: number, digits: number): number {
  let sum = 0;
  let rest = value;
  for (let index = at + digits - 1; rest > 0; index -= 1) {
    const digit = rest % 8;
    header[index] = ZERO + digit;
    sum += digit;
    rest = rest < 2 ** 31 ? rest >> 3 : (rest - digit) / 8;
  }
  return sum;
}

const ZERO = '0'.charCodeAt(0);
/** The checksum is made with spaces in its place. */
const NO_SUM = Buffer.from('000000\0 ', 'latin1');

/** For readers that do not know PAX. */
function shortened(path: string): string {
  return isPlain(path) ? path : path.slice(0, NAME_BYTES).replace(/[^ -~]/g, '_');
}

function template(): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write('0000000\x000000000\x000000000\x0000000000000\x0000000000000', 100, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  return header;
}

function isPlain(path: string): boolean {
  if (path.length > NAME_BYTES) return false;
  for (let index = 0; index < path.length; index += 1) if (path.charCodeAt(index) > LAST_PLAIN) return false;
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
