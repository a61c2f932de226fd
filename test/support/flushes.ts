/**
 * What a power cut would leave of what a program writes, by the order of its calls as strace(1) has seen them. Written as the least
 * that POSIX promises: a file’s bytes are kept by fsync(2) of the file, its name by fsync(2) of the folder that lists it. Some file
 * systems keep more; which one a target or a medium has is not ours to choose.
 */
import { readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { run } from '../machines/program.ts';
import { wholeCalls } from './strace.ts';

/** One durable write: what is kept of it, and what a power cut at its return could take. */
export interface Write {
  readonly name: string;
  /** Files that were written and are there at its end, relative to the folder. */
  readonly files: readonly string[];
  readonly faults: readonly string[];
}

/** A name that is asked for and is not there, so that the trace has it: between two of them is one write. */
export const markOf = (name: string) => `/no-such-folder/${name}`;

const traced =
  'open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,sendfile,ftruncate,fsync,fdatasync,' +
  'syncfs,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,unlink,unlinkat,rmdir,stat,statx,newfstatat';

/** Runs a program that does one durable write after the other in a folder that is empty. */
export async function flushesOf(argv: readonly string[], folder: string, log: string): Promise<Write[]> {
  // No -s: what is written need not be seen.
  const flags = ['-f', '-qq', '-y', '--seccomp-bpf', '-s', '16', '-e', `trace=${traced}`, '-o', log];
  const ran = await run('strace', [...flags, ...argv], { env: { UV_USE_IO_URING: '0' } });
  if (ran.code !== 0) throw new Error(`${argv.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
  const calls = wholeCalls(await readFile(log, 'utf8'));
  await rm(log);
  return judge(calls, folder);
}

/** The writes that lie between marks. What is outside of the folder is nobody’s. */
export function judge(calls: readonly string[], folder: string): Write[] {
  const writes: Write[] = [];
  let disk = new Disk(folder);
  let name: string | undefined;
  for (const call of calls) {
    const mark = /"\/no-such-folder\/([^"]*)"/.exec(call)?.[1];
    if (mark === undefined) disk.see(call);
    else {
      if (name !== undefined) writes.push({ name, ...disk.end() });
      disk = disk.next();
      name = mark;
    }
  }
  return writes;
}

class Disk {
  readonly #folder: string;
  /** By their numbers: names in a folder that is open are taken relative to /proc/self/fd. */
  readonly #open: Map<string, string>;
  /** Names there are. */
  readonly #there: Set<string>;
  /** Files with bytes that a power cut would take. */
  readonly #unflushed = new Set<string>();
  /** Names that it would take. */
  readonly #unlisted = new Set<string>();
  readonly #folders = new Set<string>();
  readonly #written = new Set<string>();
  /** By the file that is at risk. */
  readonly #faults = new Map<string, string>();

  constructor(folder: string, open = new Map<string, string>(), there = new Set<string>()) {
    this.#folder = folder;
    this.#open = open;
    this.#there = there;
  }

  /** The same, for the next write. */
  next(): Disk {
    return new Disk(this.#folder, this.#open, this.#there);
  }

  see(line: string): void {
    const [, call = '', given = '', result = ''] = /^(\w+)\((.*)\)\s+= (-?\d+.*)$/.exec(line) ?? [];
    if (result === '' || result.startsWith('-')) return;
    const paths = [...given.matchAll(/"([^"]*)"/g)].map(([, path = '']) => this.#resolved(path));
    const [, of = ''] = /^\d+<([^>]*)>/.exec(given) ?? [];
    if (/^(open|openat|creat)$/.test(call)) this.#opened(result, /O_CREAT/.test(given) || call === 'creat');
    else if (/^(p?write|copy_file_range|sendfile|ftruncate)/.test(call)) this.#wrote(line, of);
    else if (/^(fsync|fdatasync)$/.test(call)) this.#flushed(of);
    else if (call === 'syncfs') this.#flushedAll();
    else if (/^rename/.test(call)) this.#renamed(paths[0] ?? '', paths[1] ?? '');
    else if (/^(link|linkat|symlink|symlinkat)$/.test(call)) this.#made(paths.at(-1) ?? '');
    else if (/^mkdir/.test(call)) this.#madeFolder(paths[0] ?? '');
    else if (/^(unlink|unlinkat|rmdir)$/.test(call)) this.#removed(paths[0] ?? '');
  }

  end(): Pick<Write, 'files' | 'faults'> {
    const relative = (path: string) => path.slice(this.#folder.length + 1);
    const faults = [
      ...[...this.#faults].map(([path, fault]) => `${relative(path)}: ${fault}`),
      ...[...this.#unflushed].map((path) => `${relative(path)}: not flushed at the end`),
      ...[...this.#unlisted].map((path) => `${relative(path)}: its folder was not flushed at the end`),
    ];
    return { files: [...this.#written].map(relative).sort(), faults };
  }

  #isOurs(path: string): boolean {
    return path.startsWith(`${this.#folder}/`);
  }

  #resolved(path: string): string {
    const [, fd = '', rest = ''] = /^\/proc\/self\/fd\/(\d+)(.*)$/.exec(path) ?? [];
    return fd === '' ? resolve(path) : join(this.#open.get(fd) ?? path, rest);
  }

  #opened(result: string, creates: boolean): void {
    const [, fd = '', path = ''] = /^(\d+)<(.*)>$/.exec(result) ?? [];
    this.#open.set(fd, path);
    if (!creates || this.#there.has(path)) return;
    // Of two at once a power cut could leave the one that says that the other is there, or harm both.
    for (const other of [...this.#unflushed, ...this.#unlisted])
      if (this.#isOurs(path) && !this.#folders.has(other))
        this.#faults.set(other, 'the next file was begun before it was there');
    this.#made(path);
  }

  #made(path: string): void {
    if (!this.#isOurs(path)) return;
    this.#there.add(path);
    this.#unlisted.add(path);
  }

  #madeFolder(path: string): void {
    this.#folders.add(path);
    this.#made(path);
  }

  /** The file that is written to: of several descriptors in a call the last. */
  #wrote(line: string, first: string): void {
    const path = /^copy_file_range/.test(line)
      ? ([...line.matchAll(/\d+<([^>]*)>/g)].at(-1)?.[1] ?? '')
      : first;
    if (!this.#isOurs(path)) return;
    this.#unflushed.add(path);
    this.#written.add(path);
  }

  #flushed(path: string): void {
    this.#unflushed.delete(path);
    for (const name of this.#unlisted) {
      if (dirname(name) !== path) continue;
      if (this.#unflushed.has(name)) this.#faults.set(name, 'its folder was flushed before it was');
      this.#unlisted.delete(name);
    }
  }

  #flushedAll(): void {
    this.#unflushed.clear();
    this.#unlisted.clear();
  }

  #renamed(from: string, to: string): void {
    if (!this.#isOurs(to)) return;
    const isEarly = this.#unflushed.has(from);
    const isWritten = this.#written.has(from);
    const fault = this.#faults.get(from);
    this.#removed(from);
    this.#made(to);
    if (fault !== undefined) this.#faults.set(to, fault);
    if (isEarly) this.#faults.set(to, 'it got its name before it was flushed');
    if (isWritten) this.#written.add(to);
  }

  /** That a name has gone need not be kept: it is found there again, and goes again. */
  #removed(path: string): void {
    this.#faults.delete(path);
    for (const set of [this.#there, this.#unflushed, this.#unlisted, this.#written]) set.delete(path);
  }
}
