import { AksmlError } from '../../contract/error.ts';
import type { Answer } from '../../http/fetch.ts';
import { isRetried } from './http.ts';

/** The errors of a registry, told alike wherever they arise. */
export class RegistryFailures {
  readonly #location: string;

  constructor(location: string) {
    this.#location = location;
  }

  /** What an answer means; `doing` continues "while …". Takes the answer's body. */
  async of(response: Answer, doing: string): Promise<AksmlError> {
    const said = await registryMessage(response);
    const subject = this.#location;
    if (response.status === 404) {
      return new AksmlError('registry.notFound', `${subject}: not found while ${doing}${said.text}.`, { subject });
    }
    if (response.status === 403) {
      return new AksmlError('registry.forbidden', `${subject} does not allow ${doing}${said.text}.`, {
        subject,
        remedy: 'Ask for the right to pull and push there, or log in as someone who has it.',
      });
    }
    if (said.code === 'MANIFEST_BLOB_UNKNOWN' || said.code === 'BLOB_UNKNOWN') {
      return new AksmlError('registry.blobUnknown', `${subject} lacks content that is named while ${doing}.`, {
        subject,
        remedy: 'Run the command again: it stores the content anew.',
      });
    }
    return new AksmlError('registry.failed', `${subject} answered ${response.status} while ${doing}${said.text}.`, {
      subject,
      ...(isRetried(response.status)
        ? { remedy: 'The registry is busy or broken: run the command again later; what was sent is kept.' }
        : {}),
    });
  }

  broken(doing: string, cause: unknown): AksmlError {
    return new AksmlError(
      'registry.unreachable',
      `${this.#location}: the connection broke again and again while ${doing}.`,
      { subject: this.#location, remedy: 'Check the network and run the command again.', cause },
    );
  }

  /** What was to be stored is not what was announced. */
  mismatch(digest: string): AksmlError {
    return new AksmlError('registry.digestMismatch', `Content for ${digest} turned out to be something else.`, {
      subject: digest,
      remedy: 'It changed while it was read: run the command again.',
    });
  }

  corrupt(repository: string, digest: string): AksmlError {
    return new AksmlError('registry.corrupt', `${digest} of ${this.#location}/${repository} arrived damaged.`, {
      subject: digest,
      remedy: 'Run the command again; if that does not help, store what it belongs to anew.',
    });
  }

  notFound(repository: string, reference: string): AksmlError {
    return new AksmlError('registry.notFound', `${this.#location}/${repository}:${reference} does not exist.`, {
      subject: `${repository}:${reference}`,
    });
  }

  manifestTooLarge(repository: string, reference = 'untagged'): AksmlError {
    return new AksmlError(
      'registry.manifestTooLarge',
      `The manifest ${repository}:${reference} is larger than 4 MiB.`,
      {
        subject: `${repository}:${reference}`,
        fault: 'input',
        remedy: 'Shorten its description, tags or properties.',
      },
    );
  }

  unsupported(what: string): AksmlError {
    return new AksmlError('registry.unsupported', `${this.#location} cannot ${what}.`, { subject: this.#location });
  }
}

/** The registry's own words (distribution specification, error codes), cut to a line. */
async function registryMessage(response: Answer): Promise<{ readonly code: string; readonly text: string }> {
  let answer: unknown;
  try {
    answer = await response.json();
  } catch {
    return { code: '', text: '' };
  }
  const code = firstOf(answer, 'code');
  const message = firstOf(answer, 'message');
  return { code, text: message === '' ? '' : ` (${message.slice(0, 200).replace(/\s+/g, ' ')})` };
}

function firstOf(answer: unknown, member: string): string {
  if (typeof answer !== 'object' || answer === null || !('errors' in answer) || !Array.isArray(answer.errors))
    return '';
  const [first]: unknown[] = answer.errors;
  const value: unknown = typeof first === 'object' && first !== null ? Reflect.get(first, member) : undefined;
  return typeof value === 'string' ? value : '';
}
