import stringWidth from 'string-width';

const GAP = '  ';
/** Narrower than this, a column says nothing. */
const NARROWEST = 8;

export interface TableLook {
  /** Absent: as wide as the cells are. */
  readonly width?: number;
  /** Left out, the first one first, before any cell is cut. */
  readonly expendable: readonly string[];
  readonly ellipsis: string;
  paintHeader(text: string): string;
  paintCell(column: string, text: string): string;
}

/** Aligned columns. Cells must be printable. */
export function renderTable(columns: readonly string[], rows: readonly (readonly string[])[], look: TableLook): string {
  const places = columns.map((title, index) => ({
    title,
    index,
    width: widthOf([title, ...rows.map((row) => row[index] ?? '')]),
  }));
  const shown = look.width === undefined ? places : shrink(leaveOut(places, look.expendable, look.width), look.width);
  const line = (cellOf: (place: Place) => string) =>
    shown.map((place, position) => {
      const cell = fit(cellOf(place), place.width, look.ellipsis);
      const padding = position === shown.length - 1 ? 0 : place.width - stringWidth(cell);
      return { place, cell, padding: ' '.repeat(Math.max(0, padding)) };
    });
  const header = line(({ title }) => title)
    .map(({ cell, padding }) => cell + padding)
    .join(GAP);
  const body = rows.map((row) =>
    line(({ index }) => row[index] ?? '')
      .map(({ place, cell, padding }) => look.paintCell(place.title, cell) + padding)
      .join(GAP),
  );
  return [look.paintHeader(header.trimEnd()), ...body].map((text) => `${text.trimEnd()}\n`).join('');
}

interface Place {
  readonly title: string;
  readonly index: number;
  readonly width: number;
}

function widthOf(cells: readonly string[]): number {
  return Math.max(...cells.map((cell) => stringWidth(cell)));
}

function total(places: readonly Place[]): number {
  return places.reduce((sum, { width }) => sum + width, 0) + GAP.length * (places.length - 1);
}

function leaveOut(places: readonly Place[], expendable: readonly string[], width: number): readonly Place[] {
  let kept = places;
  for (const title of expendable) {
    if (total(kept) <= width) break;
    kept = kept.filter((place) => place.title !== title);
  }
  return kept;
}

/** Takes from the widest column, a character at a time, so that short ones stay whole. */
function shrink(places: readonly Place[], width: number): readonly Place[] {
  const widths = places.map((place) => place.width);
  for (let excess = total(places) - width; excess > 0; excess -= 1) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= NARROWEST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return places.map((place, position) => ({ ...place, width: widths[position] ?? place.width }));
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
