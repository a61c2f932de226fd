/**
 * Loaded into a nixmaker before anything else (NODE_OPTIONS=--import): it ends itself with SIGKILL before the step numbered NIXMAKER_TEST_KILL
 * that changes something below NIXMAKER_TEST_PLACE, or in the middle of one that writes. Without a number it goes to its end. NIXMAKER_TEST_STEPS is
 * a file to which each step’s name is added as it begins.
 */
import { appendFileSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';

const { NIXMAKER_TEST_PLACE: place = '/', NIXMAKER_TEST_STEPS: names } = process.env;
const last = Number(process.env.NIXMAKER_TEST_KILL ?? Number.POSITIVE_INFINITY);
let step = 0;

const isThere = (path: unknown): path is string => typeof path === 'string' && path.startsWith(`${place}/`);

function begin(name: string): boolean {
  step += 1;
  if (names !== undefined) appendFileSync(names, `${name}\n`);
  return step === last;
}

function end(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

const api = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
for (const name of ['mkdir', 'rename', 'rm', 'rmdir'] as const) {
  const real = api[name] as (...args: unknown[]) => unknown;
  api[name] = (path, ...rest) => {
    if (isThere(path) && begin(`${name} ${path}`)) end();
    return real(path, ...rest);
  };
}

const half = (contents: unknown): Buffer => {
  const bytes = typeof contents === 'string' ? Buffer.from(contents) : (contents as Buffer);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
};

const realWrite = api.writeFile as (...args: unknown[]) => Promise<void>;
api.writeFile = async (path, contents, ...rest) => {
  if (isThere(path)) {
    if (begin(`write ${path}`)) end();
    if (begin(`half of ${path}`)) {
      await realWrite(path, half(contents), ...rest);
      end();
    }
  }
  return realWrite(path, contents, ...rest);
};

const opened = new WeakMap<FileHandle, string>();
const realOpen = fs.open;
api.open = async (...args: unknown[]) => {
  const [path, flags = 'r'] = args;
  const writes =
    isThere(path) && (typeof flags === 'number' ? (flags & 3) !== 0 : /[wax+]/.test(String(flags)));
  if (writes && begin(`open ${path}`)) end();
  const handle = await (realOpen as (...all: unknown[]) => Promise<FileHandle>)(...args);
  if (writes) opened.set(handle, path);
  return handle;
};

const probe = await realOpen('/dev/null', 'r');
const handles = Object.getPrototypeOf(probe) as Record<'writeFile', (contents: unknown) => Promise<void>>;
await probe.close();
const realHandleWrite = handles.writeFile;
handles.writeFile = async function (this: FileHandle, contents: unknown) {
  const path = opened.get(this);
  if (path !== undefined && begin(`half of ${path}`)) {
    await realHandleWrite.call(this, half(contents));
    end();
  }
  return realHandleWrite.call(this, contents);
};
