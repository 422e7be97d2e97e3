import { isAbsolute, join } from 'node:path';
import type { ProgressEvent } from '../../contract/event.ts';
import type { Problem } from '../../contract/problem.ts';

/** A line of the task's terminal; undefined for what is not worth one. */
export function taskLine(event: ProgressEvent, folder: string): string | undefined {
  switch (event.type) {
    case 'start':
      return `> ${event.label}`;
    case 'done':
      return `  ${event.stage}: ${event.detail}${event.reused ? ' (as before)' : ''}`;
    case 'log':
      return `  ${event.source} | ${event.line}`;
    case 'problem':
      return problemLine(event.problem, folder);
    case 'state':
      return `  ${event.endpoint}: ${[event.state, event.detail].filter(Boolean).join(', ')}`;
    case 'failed':
    case 'progress':
      return undefined;
    default:
      return event satisfies never;
  }
}

/** In the form that the problem matcher `$aksml` reads: `FILE:LINE: SEVERITY: MESSAGE [CODE]`. */
export function problemLine({ severity, code, file, line, message, remedy }: Problem, folder: string): string {
  const word = severity === 'notice' ? 'info' : severity;
  const text = `${word}: ${[message, remedy].filter(Boolean).join(' ')} [${code}]`;
  if (file === undefined) return text;
  return `${isAbsolute(file) ? file : join(folder, file)}:${line ?? 1}: ${text}`;
}

export const PROBLEM_MATCHER = {
  name: 'aksml',
  // Not the owner of the diagnostics of open files, which every run would clear.
  owner: 'aksml-deploy',
  source: 'aksml',
  applyTo: 'closedDocuments',
  fileLocation: 'absolute',
  pattern: {
    regexp: '^(.+):(\\d+): (error|warning|info): (.*) \\[([\\w.:-]+)\\]$',
    file: 1,
    line: 2,
    severity: 3,
    message: 4,
    code: 5,
  },
} as const;
