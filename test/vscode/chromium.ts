import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';
import { installPackages } from '../../scripts/packages.ts';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** A browser of this machine, or why there is none. Installs Debian's where that is allowed: as root in CI, where it may not be missing. */
export function findChromium(): { readonly executable: string } | { readonly skip: string } {
  const find = () => PLACES.find((path) => existsSync(path));
  const executable =
    find() ?? (installPackages(['chromium', 'fonts-liberation', 'fonts-dejavu-core']) ? find() : undefined);
  if (executable !== undefined) return { executable };
  if (process.env['CI']) throw new Error('Chromium is not on this machine, and could not be installed.');
  return { skip: 'needs chromium in /usr/bin; installed from Debian only as root with CI set' };
}

export function launchChromium(): Promise<Browser> {
  const found = findChromium();
  if ('skip' in found) throw new Error(found.skip);
  return chromium.launch({
    executablePath: found.executable,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
