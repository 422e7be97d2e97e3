import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** What a process and those that belong to it have used since their start. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** At least what the largest of them ever held; absent where the system does not tell. */
  readonly peakResidentBytes?: number;
}

const run = promisify(execFile);

/** Of a replica, by the process that leads it. Undefined when it has ended, or where the system does not tell. */
export function readProcessUsage(
  leader: number,
  platform: NodeJS.Platform = process.platform,
): Promise<ProcessUsage | undefined> {
  switch (platform) {
    case 'linux':
      return readProc(leader);
    case 'win32':
      return readWindows(leader);
    default:
      return readPs(leader);
  }
}

/** `USER_HZ`, which is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

async function readProc(leader: number): Promise<ProcessUsage | undefined> {
  const members = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    // The command name, in parentheses, may hold anything. See proc_pid_stat(5), from field 3 on.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[2]) !== leader) continue;
    const status = await readFile(`/proc/${entry}/status`, 'utf8').catch(() => '');
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
    members.push({
      // With that of children that have ended.
      ticks: fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0),
      resident: kilobytes('VmRSS') * 1024,
      peak: kilobytes('VmHWM') * 1024,
    });
  }
  if (members.length === 0) return undefined;
  return {
    cpuSeconds: members.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND,
    residentBytes: members.reduce((sum, { resident }) => sum + resident, 0),
    peakResidentBytes: Math.max(...members.map(({ peak }) => peak)),
  };
}

async function readPs(leader: number): Promise<ProcessUsage | undefined> {
  const { stdout } = await run('ps', ['-A', '-o', 'pgid=,rss=,time='], { env: { ...process.env, LC_ALL: 'C' } });
  return usageOfPs(stdout, leader);
}

/** Lines of group, kilobytes and `[[days-]hours:]minutes:seconds[.hundredths]`. */
export function usageOfPs(output: string, leader: number): ProcessUsage | undefined {
  const members = output
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([group]) => Number(group) === leader);
  if (members.length === 0) return undefined;
  return {
    cpuSeconds: members.reduce((sum, [, , time = '0']) => sum + secondsOf(time), 0),
    residentBytes: members.reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0),
  };
}

function secondsOf(time: string): number {
  const [clock = '', days = '0'] = time.split('-').reverse();
  return clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) + Number(days) * 86_400;
}

/** Windows has no groups: descendants are found by their parents. */
async function readWindows(leader: number): Promise<ProcessUsage | undefined> {
  const script =
    'Get-CimInstance Win32_Process | Select-Object ProcessId,ParentProcessId,KernelModeTime,UserModeTime,WorkingSetSize,PeakWorkingSetSize | ConvertTo-Json -Compress';
  const { stdout } = await run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', script], {
    windowsHide: true,
    maxBuffer: 64 * 1024 * 1024,
  });
  return usageOfCim(JSON.parse(stdout), leader);
}

interface CimProcess {
  readonly ProcessId: number;
  readonly ParentProcessId: number;
  /** 100 ns. */
  readonly KernelModeTime: number;
  readonly UserModeTime: number;
  readonly WorkingSetSize: number;
  /** Kilobytes. */
  readonly PeakWorkingSetSize: number;
}

export function usageOfCim(processes: readonly CimProcess[], leader: number): ProcessUsage | undefined {
  const family = new Set([leader]);
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const { ProcessId, ParentProcessId } of processes) if (family.has(ParentProcessId)) family.add(ProcessId);
  }
  const members = processes.filter(({ ProcessId }) => family.has(ProcessId));
  if (members.length === 0) return undefined;
  const ticks = members.reduce((sum, member) => sum + member.KernelModeTime + member.UserModeTime, 0);
  return {
    cpuSeconds: ticks / 1e7,
    residentBytes: members.reduce((sum, { WorkingSetSize }) => sum + WorkingSetSize, 0),
    peakResidentBytes: Math.max(...members.map(({ PeakWorkingSetSize }) => PeakWorkingSetSize * 1024)),
  };
}
