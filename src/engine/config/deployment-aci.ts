import type { Report } from './report.ts';
import type { Setting } from './settings-source.ts';
import { asNumber, isTruthy, show, typeInWords } from './source.ts';

/** Whether a path exists, resolved against the working directory. */
export interface AciFiles {
  exists(path: string): Promise<boolean>;
}

interface Settings {
  get(path: string): Setting;
}

/** v1's rules for container instances, and what becomes of them on a cluster. */
export async function validateAci(settings: Settings, report: Report, files: AciFiles): Promise<void> {
  for (const name of ['cpu', 'memoryInGB'])
    checkPositive(settings.get(`containerResourceRequirements.${name}`), name, report);
  if (isTruthy(settings.get('sslEnabled').value)) await validateSsl(settings, report, files);
  const vault = ['vaultBaseUrl', 'keyName', 'keyVersion'].map((name) => settings.get(name));
  const given = vault.filter(({ value }) => isTruthy(value));
  if (given.length > 0 && given.length < vault.length) {
    const origin = (given[0] ?? settings.get('vaultBaseUrl')).origin;
    report.error(
      'cmk.incomplete',
      origin,
      'vaultBaseUrl, keyName and keyVersion must be given together or not at all.',
      'Add what is missing, or remove all three.',
    );
  }
  const network = [settings.get('vnetName'), settings.get('subnetName')];
  const named = network.filter(({ value }) => isTruthy(value));
  if (named.length === 1) {
    report.error(
      'vnet.incomplete',
      (named[0] ?? settings.get('vnetName')).origin,
      'vnetName and subnetName must be given together or not at all.',
      'Add the other one, or remove this one.',
    );
  }
}

function checkPositive({ value, origin }: Setting, name: string, report: Report): void {
  if (value.type === 'NoneType') return;
  const number = asNumber(value);
  if (number === undefined) {
    const message = `${origin.path} must be a number, but is ${typeInWords(value)}: ${show(value)}.`;
    report.error(`type.notComparable:${value.type}/int`, origin, message, 'Write a number, without quotes and units.');
  } else if (number <= 0) {
    const message = `${origin.path} must be greater than 0, but is ${show(value)}.`;
    report.error(`${name}.notPositive`, origin, message, 'Write a number greater than 0, or remove it.');
  }
}

async function validateSsl(settings: Settings, report: Report, files: AciFiles): Promise<void> {
  const certificate = settings.get('sslCertificate');
  const key = settings.get('sslKey');
  const parts = [certificate, key, settings.get('cname')];
  const missing = parts.filter(({ value }) => !isTruthy(value));
  if (missing.length > 0) {
    const names = missing.map(({ origin }) => origin.path).join(', ');
    report.error(
      'ssl.incomplete',
      settings.get('sslEnabled').origin,
      `sslEnabled needs sslCertificate, sslKey and cname; missing: ${names}.`,
      'Add what is missing, or set sslEnabled to false.',
    );
  }
  for (const [{ value, origin }, code] of [
    [certificate, 'ssl.certNotFound'],
    [key, 'ssl.keyNotFound'],
  ] as const) {
    if (!isTruthy(value)) continue;
    if (value.type !== 'str') {
      report.error(
        'type.TypeError',
        origin,
        `${origin.path} must be a path, but is ${typeInWords(value)}.`,
        'Write the path of a file.',
      );
    } else if (!(await files.exists(value.value))) {
      report.error(
        code,
        origin,
        `${origin.path}: the file ${show(value)} does not exist.`,
        'Correct the path; it is relative to the working directory.',
      );
    }
  }
}
