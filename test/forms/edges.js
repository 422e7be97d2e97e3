// The names of controls whose edge a person cannot see: no border, and no ground of their own, that stands out by 3:1 (WCAG 2.2, 1.4.11).
(() => {
  const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (color) => {
    const [red, green, blue] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const standsOut = (color, ground) => {
    const [, , , alpha = 1] = channels(color);
    if (alpha < 0.5) return false;
    const [low, high] = [luminance(color), luminance(ground)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05) >= 3;
  };
  const ground = getComputedStyle(document.body).backgroundColor;
  const hasEdge = (element) => {
    const style = getComputedStyle(element);
    const isDrawn = (side) => style[`${side}Style`] !== 'none' && Number.parseFloat(style[`${side}Width`]) > 0;
    return (
      ['borderTop', 'borderBottom', 'outline'].some(
        (side) => isDrawn(side) && standsOut(style[`${side}Color`], ground),
      ) || standsOut(style.backgroundColor, ground)
    );
  };
  const controls = [
    ...document.querySelectorAll(
      'vscode-button:not([appearance=icon]), vscode-dropdown, vscode-text-field, vscode-text-area, vscode-checkbox, input, textarea, select',
    ),
  ].filter((control) => control.checkVisibility() && !control.hasAttribute('disabled') && control.type !== 'range');
  return controls
    .filter((control) => ![control, ...(control.shadowRoot?.querySelectorAll('*') ?? [])].some(hasEdge))
    .map((control) => `${control.localName} ${control.getAttribute('aria-label') ?? control.textContent.trim()}`);
})();
