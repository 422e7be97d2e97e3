import { type FileHandle, open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { constants, unzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { MODEL_EXTENSIONS, type RecognizedModel } from '../../contract/proposal.ts';

const HEAD = 4 << 20;
const TAIL = 1 << 20;
/** A decompressed beginning may be this much longer. */
const MOST_EXPANSION = 16;

/** Which library wrote a file or folder, by its content; undefined for what is no model. Nothing of it is executed or unpickled. */
export async function recognizeModel(path: string): Promise<RecognizedModel | undefined> {
  const status = await stat(path).catch(() => undefined);
  if (status?.isDirectory()) return recognizeFolder(path);
  if (!status?.isFile() || !MODEL_EXTENSIONS.includes(extname(path).toLowerCase())) return undefined;
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const found = recognizeFile(extname(path).toLowerCase(), await readEnds(handle, status.size));
    return found && { path, isFolder: false, ...found };
  } finally {
    await handle.close();
  }
}

type Found = Omit<RecognizedModel, 'path' | 'isFolder'>;

async function recognizeFolder(path: string): Promise<RecognizedModel | undefined> {
  const names = await readdir(path).catch((): string[] => []);
  if (names.includes('MLmodel')) {
    const found = mlflowModel(await readFile(join(path, 'MLmodel'), 'utf8').catch(() => ''));
    return { path, isFolder: true, ...found };
  }
  if (names.includes('saved_model.pb')) {
    return { path, isFolder: true, format: 'saved-model', framework: 'TensorFlow' };
  }
  return undefined;
}

function mlflowModel(text: string): Found {
  const flavors = readFlavors(text);
  return { format: 'mlflow', framework: 'Custom', ...(flavors.length === 0 ? {} : { flavors }) };
}

function readFlavors(text: string): string[] {
  try {
    const { flavors } = parse(text) as { readonly flavors?: Readonly<Record<string, unknown>> };
    return Object.keys(flavors ?? {});
  } catch {
    return [];
  }
}

/** As Latin-1, so that one character is one byte. */
interface Ends {
  readonly head: string;
  readonly tail: string;
}

async function readEnds(handle: FileHandle, size: number): Promise<Ends> {
  const head = await readAt(handle, 0, Math.min(HEAD, size));
  const rest = size - head.length;
  return { head, tail: rest > 0 ? await readAt(handle, size - Math.min(TAIL, rest), Math.min(TAIL, rest)) : '' };
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<string> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.toString('latin1', 0, bytesRead);
}

function recognizeFile(extension: string, ends: Ends): Found | undefined {
  const { head } = ends;
  switch (extension) {
    case '.pkl':
    case '.pickle':
    case '.joblib':
    case '.sav':
      return recognizePickle(ends);
    case '.onnx':
      // Field 1 of the protocol buffer, the version of the format.
      return head.startsWith('\x08') ? { format: 'onnx', framework: 'Onnx' } : undefined;
    case '.pt':
    case '.pth':
      return recognizeTorch(ends);
    case '.h5':
    case '.hdf5':
      return head.startsWith('\x89HDF\r\n\x1a\n') ? keras(ends) : undefined;
    case '.keras':
      return isZip(head) || head.startsWith('\x89HDF\r\n\x1a\n') ? keras(ends) : undefined;
    case '.safetensors':
      return head[8] === '{' ? { format: 'safetensors', framework: 'Custom' } : undefined;
    case '.pb':
      return recognizeGraph(head);
    case '.bst':
    case '.ubj':
      return /^(binf|bs64|\{L)|learner/.test(head.slice(0, 4096)) ? xgboost(head) : undefined;
    case '.json':
      return /^\s*\{\s*"(learner|version)"\s*:/.test(head) && head.includes('"gradient_booster"')
        ? xgboost(head)
        : undefined;
    case '.cbm':
      return head.startsWith('CBM1') ? { format: 'catboost', framework: 'Custom' } : undefined;
    case '.txt':
      return /^tree\r?\nversion=/.test(head) ? { format: 'lightgbm', framework: 'Custom' } : undefined;
    default:
      return undefined;
  }
}

/** Libraries whose objects are pickled, by a module's name as it stands in a pickle. Some bring a scikit-learn interface, whose classes they name, too. */
const PICKLED: Readonly<Record<string, string>> = { lightgbm: 'lightgbm', xgboost: 'xgboost', catboost: 'catboost' };

function recognizePickle(stored: Ends): Found | undefined {
  const isCompressed = COMPRESSED.some((magic) => stored.head.startsWith(magic));
  if (!isPickle(stored.head) && !isCompressed) return undefined;
  const ends = isCompressed ? { head: decompressed(stored.head), tail: '' } : stored;
  const { head } = ends;
  const libraries = Object.entries(PICKLED).flatMap(([module, name]) => (namesModule(head, module) ? [name] : []));
  const needs = libraries.length === 0 ? {} : { libraries };
  if (namesModule(head, 'sklearn')) {
    const version = scikitLearnVersion(ends);
    const known = version === undefined ? {} : { frameworkVersion: version };
    return { format: 'scikit-learn', framework: 'ScikitLearn', ...known, ...needs };
  }
  if (namesModule(head, 'torch')) return { format: 'torch', framework: 'PyTorch' };
  return { format: 'pickle', framework: 'Custom', ...needs };
}

/** Protocol 2 and newer begin with this opcode and their number; the older ones, with an object's beginning. */
function isPickle(head: string): boolean {
  return (head.startsWith('\x80') && head.charCodeAt(1) <= 5) || head.startsWith('(') || head.startsWith('c');
}

/** What joblib compresses with: zlib, gzip, bz2, xz, lz4. */
const COMPRESSED = ['\x78\x01', '\x78\x5e', '\x78\x9c', '\x78\xda', '\x1f\x8b', 'BZh', '\xfd7zXZ', '\x04"M\x18'];

/** As much as can be had of a beginning; nothing of the formats that Node does not know. */
function decompressed(head: string): string {
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: HEAD * MOST_EXPANSION };
    return unzipSync(Buffer.from(head, 'latin1'), options).toString('latin1');
  } catch {
    return '';
  }
}

/** Pickled names follow a length, a line end or the opcode `c`. */
function namesModule(head: string, module: string): boolean {
  return new RegExp(`(?:^|[^\\w.])c?${module}(?:\\.|[^\\w.])`).test(head);
}

/** Every fitted estimator carries it in its state. */
function scikitLearnVersion({ head, tail }: Ends): string | undefined {
  for (const part of [head, tail]) {
    const at = part.lastIndexOf('_sklearn_version');
    const version = at < 0 ? undefined : /\d+\.\d+(\.\d+)?((a|b|rc)\d+)?/.exec(part.slice(at, at + 64))?.[0];
    if (version !== undefined) return version;
  }
  return undefined;
}

function recognizeTorch({ head, tail }: Ends): Found | undefined {
  if (!isZip(head)) {
    return isPickle(head) ? { format: 'torch', framework: 'PyTorch' } : undefined;
  }
  const isScript = /\/code\/__torch__|\/constants\.pkl/.test(head + tail);
  return { format: isScript ? 'torchscript' : 'torch', framework: 'PyTorch' };
}

function isZip(head: string): boolean {
  return head.startsWith('PK\x03\x04');
}

function keras({ head }: Ends): Found {
  const version = /"?keras_version"?[^0-9]{1,64}(\d+\.\d+\.\d+)/.exec(head)?.[1];
  return { format: 'keras', framework: 'TfKeras', ...(version === undefined ? {} : { frameworkVersion: version }) };
}

/** A graph's first node; other protocol buffers end in `.pb`, too. */
function recognizeGraph(head: string): Found | undefined {
  return /^\n.{1,4}\n/s.test(head) && /Placeholder|Const/.test(head)
    ? { format: 'frozen-graph', framework: 'TensorFlow' }
    : undefined;
}

function xgboost(head: string): Found {
  const parts = /"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]/.exec(head);
  return {
    format: 'xgboost',
    framework: 'Custom',
    ...(parts === null ? {} : { frameworkVersion: `${parts[1]}.${parts[2]}.${parts[3]}` }),
  };
}

/** What the model is called for people: its file without the ending, or its folder. */
export function modelTitle(path: string): string {
  const name = basename(path);
  const extension = extname(name).toLowerCase();
  return MODEL_EXTENSIONS.includes(extension) ? name.slice(0, -extension.length) : name;
}
