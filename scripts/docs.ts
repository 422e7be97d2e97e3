import { writeFile } from 'node:fs/promises';
import { DIFFERENCES, type Difference } from '../src/engine/config/differences.ts';

const HEADINGS: readonly (readonly [Difference['kind'], string])[] = [
  ['accepted', 'Accepted, though v1 refused it or broke on it'],
  ['honoured', 'Honoured, though v1 ignored or mangled it'],
  ['refused', 'Refused at once, though v1 only failed later'],
];

/** The document of every place where aksml judges a configuration differently from v1, made from the engine's own table. */
export function differencesDocument(): string {
  const sections = HEADINGS.map(([kind, heading]) => {
    const rows = DIFFERENCES.filter((difference) => difference.kind === kind).map(
      ({ id, v1, aksml, reason }) => `| \`${id}\` | ${cell(v1)} | ${cell(aksml)} | ${cell(reason)} |`,
    );
    return `## ${heading}\n\n| difference | v1 … | aksml … | because |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Where aksml differs from Azure Machine Learning v1

What v1 accepted deploys with the same meaning and the same defaults, and what it refused is refused, but for the cases below. Where one of them
applies, \`aksml config validate\` says so with the code \`difference.<name>\` or the problem's own code.
This file is made by \`npm run docs\`.

${sections.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

if (import.meta.main) await writeFile('docs/differences-from-v1.md', differencesDocument());
