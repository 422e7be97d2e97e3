import { randomBytes } from 'node:crypto';

export interface FormPage {
  /** Shown nowhere, but read by screen readers. */
  readonly title: string;
  /** Of the user, such as `en` or `de`. */
  readonly language: string;
  /** Addresses inside the webview. */
  readonly script: string;
  readonly style: string;
  /** VS Code's own name for where resources come from: `webview.cspSource`. */
  readonly cspSource: string;
  readonly l10n: Readonly<Record<string, string | { readonly message: string }>>;
  /** What the panel was opened for; the page keeps it. Never a secret. */
  readonly scope: unknown;
}

/**
 * The page of a form. It may run the one script that carries this page's nonce, with what that imports, and nothing else. The toolkit finds the
 * nonce in the page's head, for the one style element that it tries the browser with.
 */
export function formHtml({ title, language, script, style, cspSource, l10n, scope }: FormPage): string {
  const nonce = randomBytes(24).toString('base64');
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src ${cspSource} 'nonce-${nonce}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta property="csp-nonce" content="${nonce}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="${escaped(style)}">
</head>
<body>
<div id="form"></div>
<script type="application/json" id="boot">${asData({ l10n, scope })}</script>
<script type="module" nonce="${nonce}" src="${escaped(script)}"></script>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}

/** No text in it can end the element that it stands in. */
function asData(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
