import type { VNode } from 'preact';

/** 16 × 16, drawn with lines in the colour of the text. */
const PATHS = {
  check: 'M3 8.5l3.2 3.2L13 4.8',
  close: 'M4 4l8 8M12 4l-8 8',
  add: 'M8 3v10M3 8h10',
  remove: 'M3 8h10',
  warning: 'M8 2.2L14.5 13.5h-13zM8 6.5v3.4M8 11.4v.6',
  error: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4',
  info: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.2v4M8 4.8v.7',
  copy: 'M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z',
  refresh: 'M13 3v3.5H9.5M12.6 6.3A5.2 5.2 0 1 0 13 9.5',
  reset: 'M3 3v3.5h3.5M3.4 6.3A5.2 5.2 0 1 1 3 9.5',
  eye: 'M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6z',
  eyeClosed: 'M2 6.5c1.5 2 3.6 3 6 3s4.5-1 6-3M4 8.6L2.8 10.5M8 9.5v2.3M12 8.6l1.2 1.9',
  folder: 'M1.8 4.2h4.4l1.3 1.6h6.7v7H1.8z',
  play: 'M4.5 2.8v10.4L12.8 8z',
  chevronRight: 'M6 3.5L10.5 8 6 12.5',
  chevronDown: 'M3.5 6L8 10.5 12.5 6',
  arrowUp: 'M8 13V3M4 7l4-4 4 4',
  circle: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z',
  stopped: 'M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM4.2 4.2l7.6 7.6',
  file: 'M3.5 1.8h6l3 3v9.4h-9zM9.3 1.9v3.2h3.2',
  chart: 'M2 2v12h12M4.5 11l3-4 2.5 2 3.5-5',
  table: 'M2 3h12v10H2zM2 6.3h12M2 9.6h12M6.5 6.3V13',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className }: { readonly name: IconName; readonly className?: string }): VNode {
  return (
    <svg
      class={`icon ${className ?? ''}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      aria-hidden="true"
      focusable="false"
    >
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.2"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}

/** Turns while something is under way; the words beside it say what. */
export function Spinner(): VNode {
  return <span class="spinner" aria-hidden="true" />;
}
