import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { EnvironmentDefinition } from '../../contract/environment.ts';
import { AksmlError } from '../../contract/error.ts';
import { type RunCommand, runCommand } from '../environments/command.ts';
import { credentialsIn, gitVariables, withoutCredentials } from '../environments/credentials.ts';
import type { ImageTools } from './image-request.ts';

/** A build context as it is now. */
export interface PinnedContext {
  /** What a builder fetches: of a git repository that commit. */
  readonly location: string;
  /** In the context; of a folder its path on this machine. */
  readonly dockerfile: string;
  /** Changes whenever a file of the context does, and depends on nothing else. */
  readonly content: string;
}

type BuildContext = NonNullable<EnvironmentDefinition['docker']['buildContext']>;

/**
 * Finds out what a build context holds now: the commit of a git repository, the digest of a folder's files, or which version of a file a
 * web server says that it has.
 * @throws AksmlError `image.contextUnreadable`
 */
export async function pinContext(
  tools: Pick<ImageTools, 'environment' | 'fetch'> & { readonly run?: RunCommand },
  { locationType, location, dockerfilePath: dockerfile }: BuildContext,
  signal?: AbortSignal,
): Promise<PinnedContext> {
  if (locationType === 'git') {
    const [repository = '', reference = ''] = location.split('#');
    const [name = '', ...folder] = reference.split(':');
    const commit = COMMIT.test(name) ? name : await commitOf(tools, repository, name || 'HEAD', signal);
    const pinned = [commit, ...folder].join(':');
    return { location: `${repository}#${pinned}`, dockerfile, content: `${pinned} ${dockerfile}` };
  }
  if (/^https?:\/\//.test(location))
    return { location, dockerfile, content: `${await versionOf(tools, location, signal)} ${dockerfile}` };
  const content = `${await digestOf(location)} ${dockerfile}`;
  return { location, dockerfile: join(location, dockerfile), content };
}

const COMMIT = /^[0-9a-f]{40}$/;

async function commitOf(
  { environment, run = runCommand }: Parameters<typeof pinContext>[0],
  repository: string,
  name: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const env = { ...environment, ...gitVariables(credentialsIn(repository)), GIT_TERMINAL_PROMPT: '0' };
  // Of a tag with a message, the commit is under its name with `^{}`.
  const wanted = name === 'HEAD' ? ['HEAD'] : [`refs/tags/${name}^{}`, `refs/heads/${name}`, `refs/tags/${name}`, name];
  const args = ['ls-remote', '--', withoutCredentials(repository), name, `${name}^{}`];
  const { exitCode, stdout, stderr } = await run({ command: 'git', args, env }, { signal });
  if (exitCode !== 0) throw unreadable(repository, withoutCredentials(stderr).trim().split('\n').at(-1) ?? '');
  const found = new Map(stdout.split('\n').map((line): [string, string] => [line.slice(41), line.slice(0, 40)]));
  const commit = wanted.map((reference) => found.get(reference)).find((known) => known !== undefined);
  if (commit === undefined) throw unreadable(repository, `it has no branch or tag ${name}`);
  return commit;
}

async function versionOf(
  { fetch }: Pick<ImageTools, 'fetch'>,
  location: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const response = await fetch(location, { method: 'HEAD', ...(signal === undefined ? {} : { signal }) }).catch(
    (error: unknown) => {
      signal?.throwIfAborted();
      throw unreadable(location, error instanceof Error ? error.message : String(error));
    },
  );
  if (!response.ok) throw unreadable(location, `it answered ${response.status}`);
  const version = response.headers.get('etag') ?? response.headers.get('last-modified');
  if (version === null) throw unreadable(location, 'its server tells no version (ETag or Last-Modified) of it');
  return version;
}

async function digestOf(folder: string): Promise<string> {
  const items = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw unreadable(folder, error instanceof Error ? error.message : String(error));
  });
  const hash = createHash('sha256');
  const paths = items.map((item) => join(item.parentPath, item.name)).sort();
  for (const path of paths) {
    const found = await lstat(path);
    const kind = found.isFile() ? found.size : found.isSymbolicLink() ? await readlink(path) : '/';
    hash.update(JSON.stringify([relative(folder, path).replaceAll(sep, '/'), found.mode & 0o111, kind]));
    if (found.isFile()) await pipeline(createReadStream(path), hash, { end: false });
  }
  return `sha256:${hash.digest('hex')}`;
}

function unreadable(location: string, why: string): AksmlError {
  const subject = withoutCredentials(location.replace(/\?.*$/, ''));
  return new AksmlError('image.contextUnreadable', `The build context ${subject} cannot be read: ${why}.`, {
    fault: 'input',
    subject,
    remedy:
      'Name a git repository that git can read without asking (URL#BRANCH:FOLDER), the address of a tar, or an absolute folder of this machine.',
  });
}
