import { readFile } from 'node:fs/promises';
import { devNull } from 'node:os';
import { join } from 'node:path';

type Variables = Readonly<Record<string, string | undefined>>;

/** pip's settings that say where packages come from. URLs may hold credentials. */
export interface PipConfiguration {
  readonly indexUrl?: string;
  readonly extraIndexUrls: readonly string[];
  readonly findLinks: readonly string[];
  readonly trustedHosts: readonly string[];
  readonly noIndex: boolean;
  /** File of certificate authorities. */
  readonly certificate?: string;
}

/**
 * What pip would use: its configuration files, overridden by `PIP_*` variables. uv reads neither, v1's users have both.
 * Source: pip's user guide, "Configuration".
 */
export async function readPipConfiguration(
  environment: Variables,
  platform: NodeJS.Platform,
): Promise<PipConfiguration> {
  const settings = new Map<string, string>();
  for (const file of configurationFiles(environment, platform)) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const [key, value] of parsePipConfiguration(text)) settings.set(key, value);
  }
  for (const [name, value] of Object.entries(environment)) {
    if (name.startsWith('PIP_') && value) settings.set(name.slice(4).toLowerCase().replaceAll('_', '-'), value);
  }
  const indexUrl = settings.get('index-url');
  const certificate = settings.get('cert');
  return {
    ...(indexUrl === undefined ? {} : { indexUrl }),
    extraIndexUrls: words(settings.get('extra-index-url')),
    findLinks: words(settings.get('find-links')),
    trustedHosts: words(settings.get('trusted-host')),
    noIndex: /^(1|true|yes|on)$/i.test(settings.get('no-index') ?? ''),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

/** Keys and values of the sections that `pip install` reads; an indented line continues the value above it. */
export function parsePipConfiguration(text: string): Map<string, string> {
  const found = new Map<string, string>();
  let section = '';
  let key = '';
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue;
    const header = /^\[([^\]]+)\]/.exec(line)?.[1];
    if (header !== undefined) {
      section = header;
      key = '';
    } else if (/^\s/.test(line) && key !== '') found.set(key, `${found.get(key) ?? ''} ${line.trim()}`.trim());
    else {
      const pair = /^([^=:]+)[=:](.*)$/.exec(line);
      key = pair?.[1] && ['global', 'install', 'download'].includes(section) ? pair[1].trim().toLowerCase() : '';
      if (key !== '') found.set(key, pair?.[2]?.trim() ?? '');
    }
  }
  return found;
}

function configurationFiles(environment: Variables, platform: NodeJS.Platform): string[] {
  const only = environment['PIP_CONFIG_FILE'];
  // pip's own way to read no file at all.
  if (only === devNull) return [];
  const userHome = environment['HOME'] ?? environment['USERPROFILE'] ?? '';
  const windows = [
    join(environment['PROGRAMDATA'] ?? 'C:\\ProgramData', 'pip', 'pip.ini'),
    join(userHome, 'pip', 'pip.ini'),
    join(environment['APPDATA'] ?? join(userHome, 'AppData', 'Roaming'), 'pip', 'pip.ini'),
  ];
  const posix = [
    ...(platform === 'darwin' ? ['/Library/Application Support/pip/pip.conf'] : []),
    '/etc/xdg/pip/pip.conf',
    '/etc/pip.conf',
    join(userHome, '.pip', 'pip.conf'),
    join(environment['XDG_CONFIG_HOME'] ?? join(userHome, '.config'), 'pip', 'pip.conf'),
    ...(platform === 'darwin' ? [join(userHome, 'Library', 'Application Support', 'pip', 'pip.conf')] : []),
  ];
  const virtual = environment['VIRTUAL_ENV'];
  return [
    ...(platform === 'win32' ? windows : posix),
    ...(virtual ? [join(virtual, platform === 'win32' ? 'pip.ini' : 'pip.conf')] : []),
    ...(only ? [only] : []),
  ];
}

function words(text: string | undefined): string[] {
  return text?.split(/\s+/).filter((word) => word !== '') ?? [];
}
