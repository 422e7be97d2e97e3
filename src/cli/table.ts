import stringWidth from 'string-width';

const GAP = '  ';
/** Narrower than this, a column says nothing. */
const NARROWEST = 8;

/** Aligned columns; with a width, the widest are cut until a row fits. Cells must be printable. */
export function renderTable(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  look: { readonly width?: number; readonly ellipsis: string; readonly header: (text: string) => string },
): string {
  const natural = columns.map((title, index) =>
    Math.max(...[title, ...rows.map((row) => row[index] ?? '')].map((cell) => stringWidth(cell))),
  );
  const widths = look.width === undefined ? natural : shrink(natural, look.width - GAP.length * (columns.length - 1));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) =>
        index === cells.length - 1
          ? fit(cell, widths[index] ?? 0, look.ellipsis)
          : pad(fit(cell, widths[index] ?? 0, look.ellipsis), widths[index] ?? 0),
      )
      .join(GAP);
  return [look.header(line(columns)), ...rows.map(line)].map((row) => `${row.trimEnd()}\n`).join('');
}

/** Takes from the widest column first, so that short ones stay whole. */
function shrink(natural: readonly number[], available: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) - available;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= NARROWEST) break;
    const next = Math.max(NARROWEST, ...widths.filter((width) => width < widest));
    const tied = widths.filter((width) => width === widest).length;
    const step = Math.max(1, Math.min(widest - next || 1, Math.ceil(excess / tied)));
    for (let index = 0; index < widths.length && excess > 0; index += 1) {
      if (widths[index] !== widest) continue;
      widths[index] = widest - step;
      excess -= step;
    }
  }
  return widths;
}

function pad(cell: string, width: number): string {
  return cell + ' '.repeat(Math.max(0, width - stringWidth(cell)));
}

/** The text, or as much of it as fits with the mark that something is missing. Cut between graphemes only. */
export function fit(cell: string, width: number, ellipsis: string): string {
  if (stringWidth(cell) <= width) return cell;
  const room = width - stringWidth(ellipsis);
  let kept = '';
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(cell)) {
    used += stringWidth(segment);
    if (used > room) break;
    kept += segment;
  }
  return kept + ellipsis;
}
