/** What a build leaves in `<directory>/<host>/`: the bundle or the classic pair, and `meta`. */
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { packClassic } from '../../bundle/classic.ts';
import { distinctPieces } from '../../bundle/members.ts';
import { readIndex, withUnsigned } from '../../bundle/release.ts';
import { type BundleParts, signedFileOf, writeBundle } from '../../bundle/write.ts';
import type { ProcessHolder } from '../../core/ports.ts';
import { encodeContents } from '../../core/release/contents-file.ts';
import { type Content, type Format, type ManifestInput, metaText } from '../../core/release/manifest.ts';
import { makeFolders } from '../../files/folder.ts';
import { inTurn, turnIn } from '../../files/turn.ts';
import { writeWhole } from '../../files/write.ts';
import { copyToChrootStore, signChrootStore } from '../../nix/build.ts';
import type { NixContext } from '../../nix/command.ts';
import type { EvaluatedHost } from '../../nix/flake.ts';
import { runProgram } from '../../process/run.ts';
import { manifestLine, type Signer } from '../../signing/signer.ts';
import { manifestDigest, readManifest } from '../../signing/verify.ts';
import { type Assembled, encodeCheckedManifest } from './assemble.ts';
import type { PathSigner } from './path-signer.ts';
import { type ProvenanceSource, provenanceOf } from './provenance.ts';
import { nextSequence, readLast, recordFolder } from './sequence.ts';

export interface OutputOptions {
  readonly directory: string;
  readonly format: Format;
  readonly content: Content;
  readonly signer?: Signer;
  /** The file of its secret key, if it is in one. */
  readonly keyFile?: string;
  /** The sequence will be greater than this. */
  readonly sequenceAbove: number;
  /** The floor it may go below; the sequence is then the next one above `sequenceAbove`. */
  readonly downgradeFrom?: number;
}

interface OutputRun {
  /** If the bundle is to say where it comes from. */
  readonly provenance?: ProvenanceSource | undefined;
  readonly nix: NixContext;
  readonly options: OutputOptions;
  readonly staging: string;
  /** With the key from the options, if it is here. */
  readonly pathSigner?: PathSigner;
  /** For the host’s folder, which others may write to; without it, the folder belongs to this process alone. */
  readonly hold?: ProcessHolder;
}

interface HostOutput {
  readonly host: string;
  readonly assembled: Assembled;
  readonly evaluated: Pick<EvaluatedHost, 'derivation' | 'toplevel'>;
}

export interface Written {
  readonly bundle: string;
  readonly bytes: number;
  readonly sequence: number;
}

/** @param onWait is told who is writing the same host’s bundle while it waits @throws NixmakerError `busy` */
export async function writeHost(
  run: OutputRun,
  output: HostOutput,
  onWait?: (who: string) => void,
): Promise<Written> {
  const folder = join(run.options.directory, output.host);
  await makeFolders(folder);
  const { hold } = run;
  if (hold === undefined) return writeFiles(run, output, folder);
  // The last sequence is read and the next one written, and unfinished files share names.
  const turn = { hold, file: turnIn(folder), verb: 'build', onWait };
  return inTurn(turn, () => writeFiles(run, output, folder));
}

/**
 * A release that does not go into a bundle: the host’s folder keeps what identifies it, and `deliver` gets the rest.
 * @throws NixmakerError `busy`
 */
export async function recordHost(
  run: OutputRun & { readonly hold: ProcessHolder },
  output: HostOutput,
  { deliver, onWait }: { readonly deliver: Deliver; readonly onWait: (who: string) => void },
): Promise<Written> {
  const folder = join(run.options.directory, output.host);
  await makeFolders(folder);
  const turn = { hold: run.hold, file: turnIn(folder), verb: 'build', onWait };
  const made = await inTurn(turn, () => writeRecord(run, output, folder));
  // Others may have the folder meanwhile: a medium can take hours.
  await deliver(made);
  const { sequence } = made.release.manifest;
  return { bundle: join(folder, recordFolder), bytes: bytesOf(made), sequence };
}

async function writeRecord(run: OutputRun, output: HostOutput, folder: string): Promise<BundleParts> {
  const made = await makeRelease(run, output, folder);
  const record = join(folder, recordFolder);
  await makeFolders(record);
  await writeWhole(join(record, 'index'), made.release.index.bytes);
  await writeWhole(join(record, 'manifest.sig'), made.signatureBytes);
  await writeProvenance(run, record, made);
  // After these, because it says that they belong to it.
  await writeWhole(join(record, 'manifest.json'), made.manifestBytes);
  await writeWhole(join(folder, 'meta'), metaText(output.evaluated));
  return made;
}

/** Takes a release while its pieces’ sources still exist. */
export type Deliver = (parts: BundleParts) => Promise<void>;

const bytesOf = ({ release }: BundleParts): number =>
  [...distinctPieces(release)].reduce((sum, { size }) => sum + size, 0);

async function writeFiles(run: OutputRun, output: HostOutput, folder: string): Promise<Written> {
  const written =
    run.options.format === 'bundle'
      ? await writeOne(run, output, folder)
      : await writeClassic(run, output, folder);
  await writeWhole(join(folder, 'meta'), metaText(output.evaluated));
  return written;
}

async function sequenceFor(
  run: OutputRun,
  input: Omit<ManifestInput, 'sequence'>,
  folder: string,
): Promise<number> {
  const { sequenceAbove: above, downgradeFrom } = run.options;
  // The folder shows the release to go below.
  if (downgradeFrom !== undefined) return nextSequence(input, { last: undefined, above });
  const last = await readLast(folder, input.host);
  return nextSequence(input, { last: last?.manifest, above });
}

async function signatures({ options }: OutputRun, manifest: Buffer): Promise<Buffer> {
  return Buffer.from(options.signer === undefined ? '' : await manifestLine(manifest, options.signer));
}

async function makeRelease(run: OutputRun, { assembled }: HostOutput, folder: string): Promise<BundleParts> {
  const { input, indexBytes, pieces, sourceOf } = assembled;
  const sequence = await sequenceFor(run, input, folder);
  const { bytes: manifestBytes, manifest } = encodeCheckedManifest({ ...input, sequence });
  const digest = manifestDigest(manifestBytes);
  const index = readIndex(indexBytes, manifest);
  const release = withUnsigned(
    { manifest, digest, index },
    {
      nixSignatures: run.pathSigner?.block(index) ?? Buffer.alloc(0),
      contents: Buffer.from(encodeContents(digest, pieces)),
    },
  );
  return { manifestBytes, signatureBytes: await signatures(run, manifestBytes), release, sourceOf };
}

async function writeOne(run: OutputRun, output: HostOutput, folder: string): Promise<Written> {
  const made = await makeRelease(run, output, folder);
  const bundle = join(folder, `${output.host}.tar`);
  await writeProvenance(run, folder, made);
  await writeBundle(bundle, made);
  return { bundle, bytes: (await stat(bundle)).size, sequence: made.release.manifest.sequence };
}

/** Before the bundle: without it, what is signed would be there without its origin. */
async function writeProvenance(
  { provenance, options }: OutputRun,
  folder: string,
  { manifestBytes }: Pick<BundleParts, 'manifestBytes'>,
): Promise<void> {
  if (provenance === undefined || options.signer === undefined) return;
  const of = { manifest: readManifest(manifestBytes), digest: manifestDigest(manifestBytes) };
  const text = await provenanceOf(provenance, of, options.signer);
  await writeWhole(join(folder, 'provenance.json'), text);
}

/**
 * The original tool's layout. Its tar can't be reproducible (the chroot store's database contains times), so every
 * build of it gets a new sequence.
 */
async function writeClassic(run: OutputRun, output: HostOutput, folder: string): Promise<Written> {
  const { host, assembled } = output;
  const packed = join(folder, `.${host}.tar.gz.part`);
  await packStore(run, output, packed);
  const input = { ...assembled.input, tarball: await signedFileOf(packed) };
  const sequence = await sequenceFor(run, input, folder);
  const { bytes: manifestBytes, manifest } = encodeCheckedManifest({ ...input, sequence });
  readIndex(assembled.indexBytes, manifest);
  const signatureBytes = await signatures(run, manifestBytes);
  const bundle = join(folder, `${host}.tar.gz`);
  await writeProvenance(run, folder, { manifestBytes });
  await rename(packed, bundle);
  await writeWhole(join(folder, 'index'), assembled.indexBytes);
  await writeWhole(join(folder, 'manifest.json'), manifestBytes);
  await writeWhole(join(folder, 'manifest.sig'), signatureBytes);
  return { bundle, bytes: input.tarball.size, sequence };
}

/** The chroot store in the original tool’s tarball. */
async function packStore(
  { nix, options, staging }: OutputRun,
  { host, evaluated }: HostOutput,
  packed: string,
): Promise<void> {
  const root = join(staging, `classic-${host}`);
  await copyToChrootStore(nix, { subject: { kind: 'derivation', path: evaluated.derivation }, folder: root });
  if (options.content === 'closure') {
    await copyToChrootStore(nix, { subject: { kind: 'outputs', path: evaluated.toplevel }, folder: root });
    if (options.keyFile !== undefined) {
      await signChrootStore(nix, { folder: root, keyFile: options.keyFile, path: evaluated.toplevel });
    }
  }
  await rm(packed, { force: true });
  await packClassic(runProgram, root, packed);
  // Store paths are read-only folders; nobody can remove them until their owner runs chmod.
  await runProgram('chmod', ['--recursive', 'u+w', root]);
}
