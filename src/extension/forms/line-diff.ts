import { structuredPatch } from 'diff';
import type { FileChange } from '../../contract/webview/deploy.ts';

const CONTEXT_LINES = 3;

/** The lines in which two texts differ, with their neighbours; what is left out in between is a gap. */
export function changedLines(before: string, after: string): FileChange['lines'] {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: CONTEXT_LINES });
  return hunks.flatMap(({ lines }, index) => [
    ...(index === 0 ? [] : [{ kind: 'gap' as const, text: '' }]),
    ...lines.filter((line) => !line.startsWith('\\')).map((line) => ({ kind: kindOf(line), text: line.slice(1) })),
  ]);
}

function kindOf(line: string): 'added' | 'removed' | 'same' {
  if (line.startsWith('+')) return 'added';
  return line.startsWith('-') ? 'removed' : 'same';
}
