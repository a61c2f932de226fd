/**
 * The original tool's format: `<host>.tar.gz` with a chroot store in `nix/`, `meta` beside it, and, if signed,
 * `manifest.json` and `manifest.sig`.
 *
 * A chroot store is dangerous to open (Nix opens it read-write, and follows links in nix/var), so every header is
 * checked before anything is extracted, and only from a private copy whose digest is the signed one.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { ReadEntry } from 'tar';
import { complaintOf } from '../core/complaint.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { ProcessRunner } from '../core/ports.ts';
import type { Manifest } from '../core/release/manifest.ts';
import { type DrvPath, parseDrvPath, parseStorePath, type StorePath } from '../core/store-path.ts';
import { type BundleFile, readSmall } from './file.ts';
import { type HeadFiles, readHeadFiles } from './head-files.ts';

/** The manifest and signatures beside a tarball; undefined if either is missing (so far). */
export const readClassicHead = (tarball: string): Promise<HeadFiles | undefined> =>
  readHeadFiles(dirname(tarball));

/** Copies the tarball to where nobody else can write, checks size and digest on the way, and closes it. */
export async function spoolTarball(file: BundleFile, manifest: Manifest, target: string): Promise<void> {
  try {
    const { tarball } = manifest;
    if (tarball === undefined)
      throw new NixmakerError('bundle-malformed', 'the manifest does not name a tarball');
    const size = await file.size();
    if (size < tarball.size)
      throw new NixmakerError('bundle-truncated', `the file has ${size} of ${tarball.size} bytes`);
    if (size > tarball.size)
      throw new NixmakerError('bundle-trailing-data', `the file has ${size} bytes, not ${tarball.size}`);
    const out = await open(target, 'wx', 0o600);
    const hash = createHash('sha256');
    try {
      const step = 1024 * 1024;
      for (let done = 0; done < size; done += step) {
        const chunk = await file.read(done, Math.min(step, size - done));
        hash.update(chunk);
        await out.writeFile(chunk);
      }
    } finally {
      await out.close();
    }
    if (hash.digest('hex') !== tarball.sha256)
      throw new NixmakerError('bundle-altered', 'the tarball does not match what was signed');
  } finally {
    await file.close();
  }
}

/**
 * Walks all headers. Allowed: folders and regular files under nix/var; folders, regular files, symbolic links and
 * hard links to files already seen, under nix/store/<path>. Nothing else, and no link above a store path.
 * @throws NixmakerError `bundle-malformed` at the first header out of place
 */
export async function checkClassicHeaders(tarball: string): Promise<void> {
  const seen = new Set<string>();
  let fault: NixmakerError | undefined;
  // The whole package, for this one format.
  const { Parser } = await import('tar');
  const parser = new Parser({
    strict: true,
    onReadEntry: (entry: ReadEntry) => {
      const complaint = complaintAbout(entry, seen);
      if (complaint !== undefined)
        fault ??= new NixmakerError('bundle-malformed', `${entry.path}: ${complaint}`);
      entry.resume();
    },
  });
  try {
    await pipeline(createReadStream(tarball), createGunzip(), async (source) => {
      for await (const chunk of source) {
        parser.write(chunk as Buffer);
        if (fault !== undefined) throw fault;
      }
      parser.end();
    });
  } catch (error) {
    if (error instanceof NixmakerError) throw error;
    throw new NixmakerError('bundle-malformed', `cannot read the tarball: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (fault !== undefined) throw fault;
  if (!seen.has('nix/store'))
    throw new NixmakerError('bundle-malformed', 'the tarball contains no Nix store');
}

function complaintAbout(entry: ReadEntry, seen: Set<string>): string | undefined {
  const path = entry.path.replace(/\/$/, '').replace(/^\.\//, '');
  if (path === '.') return undefined;
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..'))
    return 'is not a plain relative path';
  if (seen.size > 20_000_000) return 'exceeds the limit on entries';
  const isFolder = entry.type === 'Directory';
  const isFile = entry.type === 'File' || entry.type === 'OldFile';
  if (isFolder || isFile) seen.add(path);
  if (path === 'nix' || path === 'nix/store' || path === 'nix/var')
    return isFolder ? undefined : 'must be a folder';
  if (path.startsWith('nix/var/')) return isFolder || isFile ? undefined : 'must be a folder or a file';
  if (path.startsWith('nix/store/.links'))
    return isFolder || isFile ? undefined : 'must be a folder or a file';
  const storePath = parseStorePath(`/${path.split('/').slice(0, 3).join('/')}`);
  if (storePath === undefined) return 'is not part of a Nix store';
  if (isFolder || isFile || entry.type === 'SymbolicLink') return undefined;
  if (entry.type === 'Link' && seen.has((entry.linkpath ?? '').replace(/^\.\//, ''))) return undefined;
  return `has a type that is not allowed in a Nix store (${entry.type})`;
}

/** Extracts a tarball whose headers were checked, using the system's tar: about seven times faster than ours. */
export async function extractClassic(run: ProcessRunner, tarball: string, folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  const flags = [
    '--extract',
    '--gzip',
    '--no-same-owner',
    '--delay-directory-restore',
    '--no-xattrs',
    '--no-acls',
  ];
  const complaint = await runTar(run, [...flags, '--file', tarball, '--directory', folder]);
  if (complaint === undefined) return;
  const code = /No space left/.test(complaint) ? 'no-space' : 'io-error';
  throw new NixmakerError(code, `cannot extract the tarball: ${complaint}`);
}

/** Packs a chroot store's `nix/`. */
export async function packClassic(run: ProcessRunner, folder: string, tarball: string): Promise<void> {
  const flags = [
    '--create',
    '--gzip',
    '--sort=name',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mtime=@1',
  ];
  const complaint = await runTar(run, [...flags, '--file', tarball, '--directory', folder, 'nix']);
  if (complaint === undefined) return;
  throw new NixmakerError('io-error', `cannot write the tarball: ${complaint}`);
}

async function runTar(run: ProcessRunner, args: readonly string[]): Promise<string | undefined> {
  const result = await run('tar', args);
  return result.exitCode === 0 ? undefined : complaintOf(result, `tar exited with ${result.exitCode}`);
}

export interface ClassicMeta {
  readonly derivation: DrvPath;
  readonly toplevel: StorePath;
}

/** The two lines of `meta`. @throws NixmakerError `bundle-malformed` */
export async function readClassicMeta(path: string): Promise<ClassicMeta> {
  const bytes = await readSmall(path, limits.metaBytes).catch((cause: unknown) => {
    throw new NixmakerError('bundle-malformed', `cannot read ${path}`, { cause });
  });
  if (bytes === undefined) throw new NixmakerError('bundle-malformed', `cannot read ${path}`);
  const [first = '', second = ''] = bytes.toString('utf8').split('\n');
  const derivation = parseDrvPath(first);
  const toplevel = parseStorePath(second);
  if (derivation === undefined || toplevel === undefined) {
    throw new NixmakerError('bundle-malformed', `${path} does not hold a derivation path and an output path`);
  }
  return { derivation, toplevel };
}
