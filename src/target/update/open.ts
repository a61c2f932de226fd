/**
 * From a file to a verified bundle: opened once, authenticated, its layout checked against what was signed, every byte’s digest checked.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkClassicHeaders, extractClassic, readClassicHead, spoolTarball } from '../../bundle/classic.ts';
import { checkAllPieces, type OpenedBundle, type PieceReader } from '../../bundle/contents.ts';
import { decrypt } from '../../bundle/encrypted.ts';
import { type BundleFile, openBundleFile, readSmall, sizeOfFile } from '../../bundle/file.ts';
import { readHeadFiles } from '../../bundle/head-files.ts';
import { type BundleHead, readAnnouncements, totalSizeOf } from '../../bundle/layout.ts';
import { lookalikeOf } from '../../bundle/lookalike.ts';
import { authenticateBundle, openAnnounced } from '../../bundle/open.ts';
import {
  type Measured,
  measurePool,
  type OpenedPool,
  openPool,
  readPoolParts,
  readPoolRelease,
  requirePlace,
} from '../../bundle/pool.ts';
import { readIndex } from '../../bundle/release.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { formatOf, type Manifest } from '../../core/release/manifest.ts';
import { needOfLines } from '../../core/release/need.ts';
import type { PartsHint } from '../../core/release/parts.ts';
import type { Need } from '../../core/room.ts';
import type { Candidate } from '../../media/inbox.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { readIdentities } from '../machine/age-key.ts';
import type { Machine } from '../machine/machine.ts';
import { type Access, accessTo, fileWithDeadline } from './medium-access.ts';
import { keepingRoom, requireRoom } from './room.ts';

export interface Examined {
  readonly verified: VerifiedManifest;
  /** The verified bytes, for a process that has to verify them again. */
  readonly head: Pick<BundleHead, 'manifestBytes' | 'signatureBytes'>;
  /** It came encrypted for its hosts. */
  readonly isSecret?: boolean;
  /**
   * How much of it is there. Reads the index and whatever announces the rest.
   * @throws NixmakerError `bundle-truncated` if not even that is there
   */
  readonly measure: () => Promise<Measured>;
  /** Makes the contents ready to import; checks everything not checked yet. */
  readonly open: () => Promise<Contents>;
  close(): Promise<void>;
}

export type Contents = { readonly index: ReleaseIndex } & (
  | {
      readonly kind: 'bundle';
      readonly bundle: OpenedBundle;
      /** If the medium is one of several. */
      readonly parts?: PartsHint | undefined;
    }
  | { readonly kind: 'chroot-store'; readonly folder: string }
);

/** The work, done once, whoever asks first. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined;
  return () => {
    done ??= work();
    return done;
  };
}

function authenticate(
  machine: Pick<Machine, 'trust'>,
): (head: Pick<BundleHead, 'manifestBytes' | 'signatureBytes'>) => VerifiedManifest {
  return (head) => verifyManifest(head.manifestBytes, head.signatureBytes, machine.trust);
}

/** Where a bundle is: a path, or a file that is already open (standard input’s spool). */
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
 * Reads and authenticates a bundle’s head. A bundle that is too short is `bundle-truncated`, either here or from `open`; the caller knows
 * whether to wait.
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
    const announced = once(() => readAnnouncements(file, authenticated));
    return {
      verified: authenticated.authentic,
      head: authenticated.head,
      isSecret: file !== asItLies,
      measure: async () => ({
        expected: totalSizeOf(await announced()),
        present: await file.size(),
      }),
      open: async () => {
        const bundle = await openAnnounced(file, await announced());
        if (access.checkFirst) await checkAllPieces(bundle);
        return { kind: 'bundle', bundle, index: bundle.index };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await asItLies.close();
    throw error;
  }
}

/** One host’s part of a pool. @throws NixmakerError `bundle-truncated` if the manifest or signatures are not there (yet) */
async function examinePool(
  machine: Pick<Machine, 'trust'>,
  folder: string,
  { withDeadline }: Access,
): Promise<Examined> {
  const head = await withDeadline(() => readHeadFiles(folder));
  if (head === undefined)
    throw new NixmakerError('bundle-truncated', 'the manifest or its signatures are missing');
  const verified = authenticate(machine)(head);
  requirePlace(folder, verified.manifest);
  const release = once(() => withDeadline(() => readPoolRelease(folder, verified)));
  let opened: OpenedPool | undefined;
  return {
    verified,
    head,
    measure: async () => {
      const found = await release();
      return withDeadline(() => measurePool(folder, found));
    },
    open: async () => {
      const pool = openPool(
        folder,
        await release(),
        (reader): PieceReader => ({
          readInto: (...args) => withDeadline(() => reader.readInto(...args)),
        }),
      );
      opened = pool;
      const { digest } = verified;
      const parts = await withDeadline(() => readPoolParts(folder, { index: pool.index, digest }));
      return { kind: 'bundle', bundle: pool, index: pool.index, parts };
    },
    // Closing waits for reads in progress, and on a stalled medium none may ever end.
    close: () => withDeadline(async () => opened?.close()).catch(() => undefined),
  };
}

/** The classic pair. @throws NixmakerError `signature-missing` if there is no manifest or no signatures beside it */
async function examineClassic(
  machine: Unpacker & Pick<Machine, 'randomHex' | 'settings' | 'trust'>,
  tarball: string,
  access: Access,
): Promise<Examined> {
  const head = await readClassicHead(tarball);
  if (head === undefined) {
    if ((await lookalikeOf(tarball)) === 'gzip')
      throw new NixmakerError('misnamed', 'it is a bundle that was compressed again (gzip)');
    throw new NixmakerError('signature-missing', 'there is no manifest.json and manifest.sig beside it');
  }
  const verified = authenticate(machine)(head);
  const { manifest } = verified;
  if (formatOf(manifest) !== 'classic') {
    throw new NixmakerError('bundle-malformed', 'the manifest beside it is not for a classic tarball');
  }
  const indexFile = join(dirname(tarball), 'index');
  let work: string | undefined;
  return {
    verified,
    head,
    measure: async () => {
      const indexBytes = await access.withDeadline(() => sizeOfFile(indexFile));
      const tarballBytes = await access.withDeadline(() => sizeOfFile(tarball));
      return {
        expected: (manifest.tarball?.size ?? 0) + manifest.index.size,
        present: tarballBytes + Math.min(indexBytes, manifest.index.size),
      };
    },
    open: async () => {
      const bytes = await access.withDeadline(() => readSmall(indexFile, limits.indexBytes));
      if (bytes === undefined) throw new NixmakerError('bundle-truncated', 'its index is missing beside it');
      const index = readIndex(bytes, manifest);
      work = await makeWorkFolder(machine);
      await requireRoom(machine, work, spoolNeed(manifest, index));
      const copy = join(work, 'bundle.tar.gz');
      const file = fileWithDeadline(await access.withDeadline(() => openBundleFile(tarball)), access);
      await spoolTarball(file, manifest, copy);
      return { kind: 'chroot-store', index, folder: await unpackClassic(machine, copy, work) };
    },
    close: async () => {
      if (work !== undefined) await removeWorkFolder(machine, work);
    },
  };
}

type Unpacker = Pick<Machine, 'clock' | 'interruption' | 'policy' | 'run'>;

/** A copy of the tarball, and everything in it. */
function spoolNeed({ tarball }: Manifest, index: ReleaseIndex): Need {
  const unpacked = needOfLines(index, index.paths().keys());
  return { ...unpacked, bytes: unpacked.bytes + (tarball?.size ?? 0) };
}

/** Checks every header, then extracts. @returns the folder to hand to Nix as a chroot store */
export async function unpackClassic(machine: Unpacker, tarball: string, work: string): Promise<string> {
  const folder = join(work, 'root');
  await checkClassicHeaders(tarball);
  await keepingRoom(machine, work, (signal) =>
    extractClassic((program, args) => machine.run(program, args, { signal }), tarball, folder),
  );
  await rm(tarball, { force: true });
  return folder;
}

/** A private folder for one run, beside the state. */
export async function makeWorkFolder(machine: Pick<Machine, 'randomHex' | 'settings'>): Promise<string> {
  const folder = join(machine.settings.stateDirectory, 'work', machine.randomHex(8));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Extracted store paths are read-only folders: anyone but root must make them writable before removing them. */
export async function removeWorkFolder(machine: Pick<Machine, 'run'>, folder: string): Promise<void> {
  await machine.run('chmod', ['--recursive', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
}
