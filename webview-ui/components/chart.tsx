import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { l10n } from '../host/l10n.ts';

export interface ChartLine {
  readonly name: string;
  readonly values: readonly (number | null)[];
  /** `--vscode-charts-blue` */
  readonly color: string;
}

export interface ChartProps {
  readonly title: string;
  readonly unit: string;
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly lines: readonly ChartLine[];
}

const HEIGHT = 140;
/** Of the time that is shown. */
const SHORTEST_SECONDS = 60;

/** One figure over time, in the colours of the theme. The same figures are to be had as a table; see the page that shows it. */
export function Chart({ title, unit, times, lines }: ChartProps): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const theme = useThemeChanges();
  const names = lines.map(({ name, color }) => `${name} ${color}`).join('\n');
  const data = [times, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData;
  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(element.clientWidth, unit, lines), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [names, unit, theme]);
  useLayoutEffect(() => plot.current?.setData(data), [times, lines]);
  return (
    <figure class="chart">
      <figcaption>
        <h3>{title}</h3>
      </figcaption>
      <div class="plot" ref={place} role="img" aria-label={summary(title, unit, lines)} />
      <div class="legend">
        {lines.length === 0 ? <span>{l10n.t('Nothing measured yet')}</span> : null}
        {lines.map(({ name, values, color }) => (
          <span key={name}>
            <span class="swatch" style={{ background: `var(${color})` }} />
            {name} <span class="latest">{figure(values.at(-1), unit)}</span>
          </span>
        ))}
      </div>
    </figure>
  );
}

function summary(title: string, unit: string, lines: readonly ChartLine[]): string {
  return `${title}: ${lines.map(({ name, values }) => `${name} ${figure(values.at(-1), unit)}`).join(', ')}`;
}

export function figure(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined) return '–';
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === '' || unit === '/s' ? unit : ` ${unit}`}`;
}

/** A count that grows whenever VS Code changes the theme. */
function useThemeChanges(): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const observer = new MutationObserver(() => setCount((before) => before + 1));
    observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
    return () => observer.disconnect();
  }, []);
  return count;
}

/** Of the widest figure beside the axis, with what uPlot keeps free around it. */
function widthOf(labels: readonly string[] | null): number {
  return 22 + 6.5 * Math.max(4, ...(labels ?? []).map(({ length }) => length));
}

/** Seconds since 1970; the minutes that are shown need no date. */
function timeOfDay(time: number): string {
  return new Date(time * 1000).toLocaleTimeString(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
}

function options(width: number, unit: string, lines: readonly ChartLine[]): uPlot.Options {
  const style = getComputedStyle(document.body);
  const color = (name: string, otherwise: string) => style.getPropertyValue(name).trim() || otherwise;
  const text = color('--vscode-descriptionForeground', 'gray');
  const grid = color('--vscode-editorWidget-border', color('--vscode-panel-border', 'transparent'));
  // Borders of a theme of high contrast are as bright as the lines.
  const dash = document.body.dataset['vscodeThemeKind']?.startsWith('vscode-high-contrast') ? [1, 6] : [];
  const axis = {
    stroke: text,
    grid: { stroke: grid, width: 1, dash },
    ticks: { stroke: grid, width: 1 },
    font: `11px ${style.fontFamily}`,
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 26, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      // A first sample stands at the right edge, as if the others had been missed.
      x: { range: (_, low, high) => [Math.min(low, high - SHORTEST_SECONDS), high] },
      y: { range: (_, __, high) => [0, Math.max(high * 1.1, 1)] },
    },
    axes: [
      { ...axis, space: 70, values: (_, ticks) => ticks.map(timeOfDay) },
      {
        ...axis,
        size: (_, labels) => widthOf(labels),
        space: 28,
        values: (_, ticks) => ticks.map((tick) => figure(tick, unit)),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: color(line.color, text),
        width: 1.5,
        spanGaps: false,
        // A line needs two; after that they would only hide it.
        points: { show: (_: uPlot, __: number, first: number, last: number) => first === last },
      })),
    ],
  };
}
