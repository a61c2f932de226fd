/**
 * The newest release on a server that this machine would take. Threat: whoever runs the server, or has broken into it, offers what it
 * likes: signatures come first, and every size is known from what was signed before anything is stored.
 */
import type { HeadFiles } from '../../bundle/head-files.ts';
import { indexName, nixSignaturesName, requireOwnPlace } from '../../bundle/pool.ts';
import { type Release, readIndex, withUnsigned } from '../../bundle/release.ts';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { parseSequences, sequencesBytes, sequencesFile } from '../../core/bundle/pool-paths.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { mostContentsBytes } from '../../core/release/contents-file.ts';
import { NixSignatures } from '../../core/release/nix-signatures.ts';
import type { Client } from '../../network/client.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { decideHere } from '../machine/decision.ts';
import type { Machine } from '../machine/machine.ts';

export interface Found {
  readonly verified: VerifiedManifest;
  readonly head: HeadFiles;
  readonly release: Release;
}

/** Sequences looked at on one server; `put` leaves far fewer. */
const mostSequences = 16;

/** What goes for the whole server, whichever of its files was asked for. */
const ofTheServer = new Set(['source-unreachable', 'source-untrusted', 'source-refused']);

/**
 * Undefined if the newest one is here already. One that can’t be used, or would be refused, hides none of the older ones.
 * @throws NixmakerError `source-empty`, as `Client.get`, and why the newest is not taken if no other is
 */
export async function findRelease(machine: Machine, client: Client): Promise<Found | undefined> {
  const { host } = machine.policy;
  const text = await client.small(`${poolFolder}/hosts/${host}/${sequencesFile}`, sequencesBytes);
  const sequences = parseSequences(text?.toString('latin1') ?? '').slice(0, mostSequences);
  if (sequences.length === 0)
    throw new NixmakerError('source-empty', `${client.name} lists no sequences of ${host}`);
  let first: NixmakerError | undefined;
  for (const sequence of sequences) {
    try {
      const head = await readHead(client, `${poolFolder}/hosts/${host}/${sequence}`);
      const verified = verifyManifest(head.manifestBytes, head.signatureBytes, machine.trust);
      requireOwnPlace(verified.manifest, { host, sequence: String(sequence) });
      if (!(await isWanted(machine, verified))) return undefined;
      return { verified, head, release: await readRelease(client, verified) };
    } catch (error) {
      if (!(error instanceof NixmakerError) || ofTheServer.has(error.code)) throw error;
      first ??= error;
    }
  }
  throw first as NixmakerError;
}

async function readHead(client: Client, folder: string): Promise<HeadFiles> {
  const manifestBytes = await client.small(`${folder}/manifest.json`, limits.manifestBytes);
  const signatureBytes = await client.small(`${folder}/manifest.sig`, limits.signatureFileBytes);
  if (manifestBytes === undefined || signatureBytes === undefined)
    throw new NixmakerError('bundle-truncated', `${client.name} has no whole ${folder}`);
  return { manifestBytes, signatureBytes };
}

/** What only has to wait here is fetched meanwhile. @throws NixmakerError why this machine would refuse it */
export async function isWanted(
  machine: Machine,
  verified: VerifiedManifest,
  bundleBytes?: number,
): Promise<boolean> {
  const { operation } = machine.policy;
  const verdict = await decideHere(machine, verified, { operation, unattended: true, bundleBytes });
  if (verdict.verdict !== 'refuse') return !verdict.verdict.startsWith('already');
  // There is nothing newer.
  if (verdict.code === 'sequence-older') return false;
  throw new NixmakerError(verdict.code, verdict.detail);
}

/** Nothing is larger than the manifest says, or than the index can need. @throws NixmakerError as `readRelease` */
async function readRelease(client: Client, { manifest, digest }: VerifiedManifest): Promise<Release> {
  const truncated = (what: string) =>
    new NixmakerError('bundle-truncated', `${client.name} has no ${what} of sequence ${manifest.sequence}`);
  const cache = `${poolFolder}/cache`;
  const bytes = await client.small(`${cache}/${indexName(manifest)}`, manifest.index.size);
  if (bytes === undefined) throw truncated('index');
  const index = readIndex(bytes, manifest);
  const entry = `${poolFolder}/hosts/${manifest.host}/${manifest.sequence}`;
  const contents = await client.small(`${entry}/contents`, mostContentsBytes(index));
  if (contents === undefined) throw truncated('contents list');
  const nixSignatures = await client.small(
    `${cache}/${nixSignaturesName(manifest)}`,
    NixSignatures.most(index),
  );
  return withUnsigned(
    { manifest, digest, index },
    { contents, nixSignatures: nixSignatures ?? Buffer.alloc(0) },
  );
}
