import { type FileHandle, open } from 'node:fs/promises';

/** Where a file's bytes are in a tar. */
export interface TarMember {
  readonly start: number;
  readonly size: number;
}

const BLOCK = 512;
const SIZE_AT = 124;
const TYPE_AT = 156;

/** The files of an uncompressed tar, so that each can be read alone, and links to them; undefined for what is no tar. */
export async function readTarIndex(file: string): Promise<ReadonlyMap<string, TarMember> | undefined> {
  const members = new Map<string, TarMember>();
  const links = new Map<string, string>();
  const handle = await open(file);
  try {
    const header = Buffer.alloc(BLOCK);
    let extended = new Map<string, string>();
    for (let position = 0; (await readInto(handle, header, position)) && header[0] !== 0; ) {
      if (header.toString('latin1', 257, 262) !== 'ustar') return undefined;
      const start = position + BLOCK;
      const size = Number(extended.get('size') ?? sizeField(header));
      position = start + Math.ceil(size / BLOCK) * BLOCK;
      const type = header.toString('latin1', TYPE_AT, TYPE_AT + 1);
      if (type === 'x') {
        const records = Buffer.alloc(size);
        await readInto(handle, records, start);
        extended = paxRecords(records);
        continue;
      }
      const name = extended.get('path') ?? nameOf(header);
      if (type === '0' || type === '\0') members.set(normal(name), { start, size });
      else if (type === '1' || type === '2') {
        const said = extended.get('linkpath') ?? text(header, 157, 257);
        // A symbolic link is relative to its folder, a hard link to the archive.
        const folder = type === '2' ? name.slice(0, name.lastIndexOf('/') + 1) : '';
        links.set(normal(name), normal(folder + said));
      }
      extended = new Map();
    }
  } finally {
    await handle.close();
  }
  for (const name of links.keys()) {
    let target = name;
    for (let step = 0; step < links.size && !members.has(target); step += 1) target = links.get(target) ?? target;
    const member = members.get(target);
    if (member) members.set(name, member);
  }
  return members;
}

async function readInto(handle: FileHandle, into: Buffer, position: number): Promise<boolean> {
  return (await handle.read(into, 0, into.length, position)).bytesRead === into.length;
}

function text(header: Buffer, from: number, to: number): string {
  return header.toString('utf8', from, to).replace(/\0.*$/s, '');
}

function nameOf(header: Buffer): string {
  const prefix = text(header, 345, 500);
  return prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
}

/** Octal, or for 8 GiB and more the number itself (GNU). */
function sizeField(header: Buffer): number {
  if ((header[SIZE_AT] ?? 0) < 0x80) return Number.parseInt(text(header, SIZE_AT, SIZE_AT + 12).trim() || '0', 8);
  return Number(header.readBigUInt64BE(SIZE_AT + 4));
}

/** POSIX's extended header: `LENGTH KEY=VALUE\n`, where the length counts bytes and itself. */
function paxRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const length = Number.parseInt(content.toString('latin1', at, at + 20), 10);
    if (!(length > 0)) break;
    const [, key, value] = /^\d+ ([^=]+)=(.*)\n$/s.exec(content.toString('utf8', at, at + length)) ?? [];
    if (key !== undefined && value !== undefined) records.set(key, value);
    at += length;
  }
  return records;
}

function normal(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
