/** One line of a `pip:` section, taken apart as far as aksml needs it. */
export type PipLine =
  | {
      readonly kind: 'requirement';
      readonly name: string;
      readonly extras: string;
      readonly specifier: string;
      readonly text: string;
    }
  /** `https://…/x.whl`, `git+https://…`, `name @ https://…`, or an absolute path. */
  | { readonly kind: 'url'; readonly name?: string; readonly text: string }
  /** A file that pip would look for beside the conda file: `-r more.txt`, `./x.whl`, `-e .`. */
  | { readonly kind: 'relative'; readonly text: string }
  | { readonly kind: 'option'; readonly name: string; readonly value: string }
  | { readonly kind: 'unknown'; readonly text: string }
  | { readonly kind: 'blank' };

const SHORT_OPTIONS: Readonly<Record<string, string>> = {
  '-i': '--index-url',
  '-f': '--find-links',
  '--pypi-url': '--index-url',
};

export function parsePipLine(line: string): PipLine {
  const text = line.replace(/(^|\s)#.*$/, '').trim();
  if (text === '') return { kind: 'blank' };
  if (text.startsWith('-')) return parseOption(text);
  const named = /^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*@\s*(\S.*)$/.exec(text);
  if (named?.[1] && named[3]) return { kind: 'url', name: normalizeName(named[1]), text };
  if (/^(git\+|hg\+|svn\+|bzr\+)?[a-z][a-z0-9+.-]*:\/\//i.test(text)) return withEgg(text);
  if (/^([\\/]|[A-Za-z]:[\\/])/.test(text)) return { kind: 'url', text };
  if (/^\.{1,2}([\\/]|$)/.test(text) || /^[^<>=!~;\s]*[\\/]|\.(whl|tar\.gz|zip)$/.test(text))
    return { kind: 'relative', text };
  const requirement = /^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)$/.exec(text);
  if (!requirement?.[1]) return { kind: 'unknown', text };
  return {
    kind: 'requirement',
    name: normalizeName(requirement[1]),
    extras: requirement[2]?.replaceAll(' ', '') ?? '',
    specifier: requirement[3]?.replace(/\s+--\S.*$/, '').trim() ?? '',
    text,
  };
}

/** PyPI's own rule: names are equal up to case and runs of `-`, `_` and `.`. */
export function normalizeName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

function withEgg(text: string): PipLine {
  const egg = /[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)/.exec(text)?.[1];
  const url = text.replace(/#.*$/, '');
  return egg === undefined ? { kind: 'url', text } : { kind: 'url', name: normalizeName(egg), text: `${egg} @ ${url}` };
}

function parseOption(text: string): PipLine {
  const match = /^(--?[A-Za-z][A-Za-z-]*)(?:\s*=\s*|\s+)?(.*)$/.exec(text);
  const name = match?.[1] ?? text;
  const value = (match?.[2] ?? '').trim();
  if (['-r', '--requirement', '-c', '--constraint', '-e', '--editable'].includes(name)) {
    return /^[a-z+]+:\/\//i.test(value) ? withEgg(value) : { kind: 'relative', text };
  }
  return { kind: 'option', name: SHORT_OPTIONS[name] ?? name, value };
}
