import { AksmlError } from '../../contract/error.ts';
import { WHITEOUT } from './base-python.ts';

/**
 * In an image a file with such a name says that another one is gone: it would not be there, and hide what it names.
 * @param where for the message: the model, or the source directory
 * @throws AksmlError `image.reservedName`
 */
export function refuseWhiteouts(paths: readonly string[], where: string): void {
  const found = paths.find((path) => path.split('/').some((part) => part.startsWith(WHITEOUT)));
  if (found === undefined) return;
  throw new AksmlError(
    'image.reservedName',
    `${found} of ${where} cannot be in an image: "${WHITEOUT}" marks removals there.`,
    {
      fault: 'input',
      subject: found,
      remedy: 'Give the file another name.',
    },
  );
}
