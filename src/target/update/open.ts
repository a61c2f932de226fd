/** From a file to a verified bundle: opened once, authenticated, laid out as signed, every byte's digest checked. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkClassicHeaders, extractClassic, readClassicHead, spoolTarball } from '../../bundle/classic.ts';
import { checkAllNars, type MemberReader, type OpenedBundle } from '../../bundle/contents.ts';
import { decrypt } from '../../bundle/encrypted.ts';
import { type BundleFile, openBundleFile } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import type { BundleHead } from '../../bundle/layout.ts';
import { authenticateBundle, openBundle } from '../../bundle/open.ts';
import { type OpenedPool, openPool, presentInPool, requirePlace } from '../../bundle/pool.ts';
import { formatOf } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Candidate } from '../../media/inbox.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { readIdentities } from '../machine/age-key.ts';
import type { Machine } from '../machine/machine.ts';
import { type Access, accessTo, fileWithDeadline } from './medium-access.ts';

export interface Examined {
  readonly verified: VerifiedManifest;
  /** The bytes that were verified, for whoever has to verify them again. */
  readonly head: Pick<BundleHead, 'manifestBytes' | 'signatureBytes'>;
  /** Bytes of everything signed. */
  readonly size: number;
  /** Bytes that are there by now. */
  readonly present: () => Promise<number>;
  /** Makes the contents ready to import; checks all that has not been checked yet. */
  readonly open: () => Promise<Contents>;
  close(): Promise<void>;
}

export type Contents =
  | { readonly kind: 'bundle'; readonly bundle: OpenedBundle }
  | { readonly kind: 'chroot-store'; readonly folder: string };

function authenticate(
  machine: Pick<Machine, 'trust'>,
): (head: Pick<BundleHead, 'manifestBytes' | 'signatureBytes'>) => VerifiedManifest {
  return (head) => verifyManifest(head.manifestBytes, head.signatureBytes, machine.trust);
}

/** Where a bundle is: a path, or a file that is open already (standard input's spool). */
export type Source = { readonly onMedium?: true } & (
  | { readonly format: 'bundle'; readonly file: string | BundleFile }
  | { readonly format: 'classic' | 'pool'; readonly path: string }
);

export function sourceOf({ format, path, onMedium }: Candidate): Source {
  const where = onMedium === true ? { onMedium } : {};
  return format === 'bundle' ? { format, file: path, ...where } : { format, path, ...where };
}

export function examine(machine: Machine, source: Source): Promise<Examined> {
  const access = accessTo(machine, source);
  if (source.format === 'bundle') return examineBundle(machine, source.file, access);
  return source.format === 'pool'
    ? examinePool(machine, source.path, access)
    : access.withDeadline(() => examineClassic(machine, source.path, access));
}

/**
 * Reads and authenticates a bundle's head. A bundle that is too short is `bundle-truncated`, either here or from
 * `open`; the caller knows whether to wait.
 */
async function examineBundle(
  machine: Pick<Machine, 'agentDirectory' | 'settings' | 'trust'>,
  source: string | BundleFile,
  access: Access,
): Promise<Examined> {
  const opened =
    typeof source === 'string' ? await access.withDeadline(() => openBundleFile(source)) : source;
  const asItLies = fileWithDeadline(opened, access);
  try {
    const file = await decrypt(asItLies, () => readIdentities(machine));
    const authenticated = await authenticateBundle(file, authenticate(machine));
    return {
      verified: authenticated.authentic,
      head: authenticated.head,
      size: authenticated.totalSize,
      present: () => file.size(),
      open: async () => {
        const bundle = await openBundle(file, authenticated);
        if (access.checkFirst) await checkAllNars(bundle);
        return { kind: 'bundle', bundle };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await asItLies.close();
    throw error;
  }
}

/** One host's part of a pool. @throws NixmakerError `bundle-truncated` where manifest or signatures are not there (yet) */
async function examinePool(
  machine: Pick<Machine, 'trust'>,
  folder: string,
  { withDeadline }: Access,
): Promise<Examined> {
  const head = await withDeadline(() => readHeadFiles(folder));
  if (head === undefined) throw new NixmakerError('bundle-truncated', 'manifest or signatures are not there');
  const verified = authenticate(machine)(head);
  const { manifest } = verified;
  requirePlace(folder, manifest);
  let opened: OpenedPool | undefined;
  return {
    verified,
    head,
    size: manifest.members.reduce((sum, { size }) => sum + size, 0),
    present: () => withDeadline(() => presentInPool(folder, manifest)),
    open: async () => {
      const pool = await openPool(
        folder,
        manifest,
        (reader): MemberReader => ({
          readInto: (...args) => withDeadline(() => reader.readInto(...args)),
        }),
      );
      opened = pool;
      return { kind: 'bundle', bundle: pool };
    },
    // Closing waits for reads that are under way, and of a medium that has stalled none may ever end.
    close: () => withDeadline(async () => opened?.close()).catch(() => undefined),
  };
}

/** The classic pair. @throws NixmakerError `signature-missing` where manifest or signatures are not beside it */
async function examineClassic(
  machine: Pick<Machine, 'randomHex' | 'run' | 'settings' | 'trust'>,
  tarball: string,
  access: Access,
): Promise<Examined> {
  const head = await readClassicHead(tarball);
  if (head === undefined)
    throw new NixmakerError('signature-missing', 'manifest.json and manifest.sig are not beside it');
  const verified = authenticate(machine)(head);
  const { manifest } = verified;
  if (formatOf(manifest) !== 'classic') {
    throw new NixmakerError('bundle-malformed', 'the manifest beside it is not that of a classic tarball');
  }
  let work: string | undefined;
  return {
    verified,
    head,
    size: manifest.members[0]?.size ?? 0,
    present: async () => (await stat(tarball)).size,
    open: async () => {
      work = await makeWorkFolder(machine);
      const copy = join(work, 'bundle.tar.gz');
      const file = fileWithDeadline(await access.withDeadline(() => openBundleFile(tarball)), access);
      await spoolTarball(file, manifest, copy);
      return { kind: 'chroot-store', folder: await unpackClassic(machine, copy, work) };
    },
    close: async () => {
      if (work !== undefined) await removeWorkFolder(machine, work);
    },
  };
}

/** Checks every header, then extracts. @returns the folder to hand to Nix as a chroot store */
export async function unpackClassic(
  machine: Pick<Machine, 'run'>,
  tarball: string,
  work: string,
): Promise<string> {
  const folder = join(work, 'root');
  await checkClassicHeaders(tarball);
  await extractClassic(machine.run, tarball, folder);
  await rm(tarball, { force: true });
  return folder;
}

/** A private folder for one run, beside the state. */
export async function makeWorkFolder(machine: Pick<Machine, 'randomHex' | 'settings'>): Promise<string> {
  const folder = join(machine.settings.stateDirectory, 'work', machine.randomHex(8));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Extracted store paths are read-only folders: who is not root must make them writable to remove them. */
export async function removeWorkFolder(machine: Pick<Machine, 'run'>, folder: string): Promise<void> {
  await machine.run('chmod', ['--recursive', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
}
