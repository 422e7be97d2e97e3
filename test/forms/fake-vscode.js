// What VS Code puts into a webview's page before its own scripts run. The test fills in `THEME`.
const { kind, variables } = THEME;
globalThis.acquireVsCodeApi = () => ({
  postMessage: (message) => void globalThis.aksmlPost(message),
  getState: () => JSON.parse(sessionStorage.getItem('state') ?? 'null') ?? undefined,
  setState: (state) => sessionStorage.setItem('state', JSON.stringify(state)),
});
document.addEventListener('DOMContentLoaded', () => {
  for (const [name, value] of Object.entries(variables)) document.documentElement.style.setProperty(name, value);
  document.body.className = kind;
  document.body.setAttribute('data-vscode-theme-kind', kind.split(' ')[0]);
});
