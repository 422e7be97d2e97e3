import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, posix, win32 } from 'node:path';
import { promisify } from 'node:util';

/** What to start when the user logs in, and where this machine wants to read it. */
export interface LoginStart {
  readonly platform: 'linux' | 'darwin' | 'win32';
  readonly homeFolder: string;
  /** Of the process: `XDG_CONFIG_HOME` and `APPDATA` say where such files lie. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The supervisor's: executable and arguments, with absolute paths. */
  readonly command: readonly string[];
  /** `AKSML_HOME`. */
  readonly home: string;
}

export interface LoginFile {
  readonly path: string;
  readonly content: string;
  /** Tells the system that the file is there, or, for `undo`, that it goes. Executable and arguments. */
  readonly announce?: readonly [string, ...string[]];
  readonly undo?: readonly [string, ...string[]];
}

const UNIT = 'aksml-local';
const LABEL = 'dev.aksml.local';

/** From the next login on, what is deployed on this machine starts by itself. Returns the file that makes it so. */
export async function enableLoginStart(start: LoginStart): Promise<string> {
  const file = loginFile(start);
  await mkdir(dirname(file.path), { recursive: true });
  await writeFile(file.path, file.content, { mode: 0o600 });
  if (file.announce) await runQuietly(file.announce);
  return file.path;
}

/** Returns the file that is gone now. */
export async function disableLoginStart(start: LoginStart): Promise<string> {
  const file = loginFile(start);
  if (file.undo) await runQuietly(file.undo);
  await rm(file.path, { force: true });
  return file.path;
}

/** The file that this platform starts programs of a user by: a systemd user unit, a launch agent, a script in the Startup folder. */
export function loginFile(start: LoginStart): LoginFile {
  switch (start.platform) {
    case 'linux':
      return systemdUnit(start);
    case 'darwin':
      return launchAgent(start);
    case 'win32':
      return startupScript(start);
  }
}

function systemdUnit({ environment, homeFolder, command, home }: LoginStart): LoginFile {
  const folder = environment['XDG_CONFIG_HOME'] || posix.join(homeFolder, '.config');
  // systemd would end gateway and replicas with the supervisor, which only hands over when it ends.
  const content = `[Unit]
Description=aksml: models deployed on this machine

[Service]
Type=exec
ExecStart=${command.map((argument) => systemdQuoted(argument).replaceAll('$', '$$$$')).join(' ')}
Environment=${systemdQuoted(`AKSML_HOME=${home}`)}
KillMode=process

[Install]
WantedBy=default.target
`;
  const systemctl = ['systemctl', '--user'] as const;
  return {
    path: posix.join(folder, 'systemd', 'user', `${UNIT}.service`),
    content,
    announce: [...systemctl, 'enable', `${UNIT}.service`],
    undo: [...systemctl, 'disable', `${UNIT}.service`],
  };
}

/** `%` begins a specifier; in commands, but not here, `$` begins a variable. Both are written twice to mean themselves. */
function systemdQuoted(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return `"${escaped.replaceAll('\n', '\\n')}"`;
}

function launchAgent({ homeFolder, command, home }: LoginStart): LoginFile {
  const strings = command.map((argument) => `    <string>${xmlEscaped(argument)}</string>`).join('\n');
  const content = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${LABEL}</string>
  <key>ProgramArguments</key>
  <array>
${strings}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>AKSML_HOME</key>
    <string>${xmlEscaped(home)}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>AbandonProcessGroup</key>
  <true/>
</dict>
</plist>
`;
  return { path: posix.join(homeFolder, 'Library', 'LaunchAgents', `${LABEL}.plist`), content };
}

function xmlEscaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function startupScript({ environment, homeFolder, command, home }: LoginStart): LoginFile {
  const roaming = environment['APPDATA'] || win32.join(homeFolder, 'AppData', 'Roaming');
  // VBScript starts a program without a window, which a batch file cannot.
  const line = command.map((argument) => `"${argument}"`).join(' ');
  const content = `Set shell = CreateObject("WScript.Shell")\r
shell.Environment("Process")("AKSML_HOME") = ${vbString(home)}\r
shell.Run ${vbString(line)}, 0, False\r
`;
  const folder = win32.join(roaming, 'Microsoft', 'Windows', 'Start Menu', 'Programs', 'Startup');
  return { path: win32.join(folder, `${UNIT}.vbs`), content };
}

function vbString(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** Without a session manager the file alone has to do: it is read at the next login. */
async function runQuietly([program, ...args]: readonly [string, ...string[]]): Promise<void> {
  await promisify(execFile)(program, args).catch(() => undefined);
}
