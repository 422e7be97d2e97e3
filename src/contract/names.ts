/**
 * Azure Machine Learning v1's name rules, as its SDK checked them (Python full matches unless said otherwise).
 * Where v1 used `re.match` with `$`, one trailing newline passed; we refuse it, because no such name could be used afterwards.
 */
export interface NameRule {
  readonly what: string;
  readonly pattern: RegExp;
  readonly minLength: number;
  readonly maxLength: number;
  /** The rule in words, for messages and forms. */
  readonly hint: string;
}

export const MODEL_NAME: NameRule = {
  what: 'model name',
  pattern: /^[a-zA-Z0-9][a-zA-Z0-9\-._]*$/,
  minLength: 1,
  maxLength: 255,
  hint: '1 to 255 letters, digits, "-", "." or "_", starting with a letter or digit',
};

/** Also for endpoints and for versions of an endpoint. */
export const SERVICE_NAME: NameRule = {
  what: 'service name',
  pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
  minLength: 3,
  maxLength: 32,
  hint: '3 to 32 lower-case letters, digits or "-", starting with a letter and not ending with "-"',
};

export const IMAGE_NAME: NameRule = {
  what: 'image name',
  pattern: /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/,
  minLength: 3,
  maxLength: 32,
  hint: '3 to 32 lower-case letters, digits, "-" or ".", starting and ending with a letter or digit',
};

export const NAMESPACE: NameRule = {
  what: 'namespace',
  pattern: /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
  minLength: 1,
  maxLength: 63,
  hint: '1 to 63 lower-case letters, digits or "-", starting and ending with a letter or digit',
};

export const COMPUTE_NAME: NameRule = {
  what: 'compute target name',
  pattern: /^[a-zA-Z][a-zA-Z0-9-]*$/,
  minLength: 3,
  maxLength: 24,
  hint: '3 to 24 letters, digits or "-", starting with a letter',
};

export const WORKSPACE_NAME: NameRule = {
  what: 'workspace name',
  pattern: /^[a-zA-Z0-9][\p{L}\p{N}_-]*$/u,
  minLength: 3,
  maxLength: 33,
  hint: '3 to 33 letters, digits, "-" or "_", starting with a letter or digit',
};

const BYTE = '(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])';
/** An IP address, or a block of them in CIDR notation. Not every text that has the form of IPv6 is an address. */
export const ADDRESS_BLOCK = new RegExp(
  `^(${BYTE}([.]${BYTE}){3}(/(3[0-2]|[12]?[0-9]))?|[0-9a-fA-F:]{2,39}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`,
);

/** As near to a text as {@link SERVICE_NAME} allows, with room for `reserved` more characters; empty where nothing of it is left. */
export function serviceNameFrom(text: string, reserved = 0): string {
  return text
    .normalize('NFKD')
    .replace(/\p{Mark}+/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, SERVICE_NAME.maxLength - reserved)
    .replace(/-+$/, '');
}

/** The name itself, else with the first number that makes it free. */
export function firstFree(name: string, taken: ReadonlySet<string>): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(candidate)) return candidate;
  }
}

export function followsRule(rule: NameRule, name: string): boolean {
  return name.length >= rule.minLength && name.length <= rule.maxLength && rule.pattern.test(name);
}
