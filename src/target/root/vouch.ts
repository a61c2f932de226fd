/**
 * Where Nix on this machine trusts none of the keys that signed a bundle’s paths (persons’ SSH keys can’t sign paths; a
 * keyring may have brought a key that nix.conf does not know), root vouches for them: it signs, with the machine’s store
 * key, exactly the hashes that the verified manifest pins. The daemon checks the bytes against them, as it does for any
 * signature, and nobody with privileges reads a byte of the bundle.
 *
 * Threat: an agent that was taken over. It gets nothing signed but what the policy’s own keys have signed for this host,
 * and what root itself would take now.
 */
import type { OpenedBundle } from '../../bundle/contents.ts';
import type { Manifest } from '../../core/bundle/manifest.ts';
import { fingerprint } from '../../core/bundle/narinfo.ts';
import { NixmakerError } from '../../core/errors.ts';
import { decide } from '../../core/policy/decide.ts';
import type { StorePath } from '../../core/store-path.ts';
import { trustedKeysOf } from '../../nix/settings.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { serveRequests, type VouchRequestFile, vouchRequests, writeRequest } from '../../state/requests.ts';
import { readVoucher, type Voucher, writeVoucher } from '../../state/vouchers.ts';
import { gatherFacts } from '../machine/facts.ts';
import type { Machine } from '../machine/machine.ts';
import { readStoreKey } from '../machine/store-key.ts';
import type { Transaction } from '../machine/transaction.ts';
import type { Contents, Examined } from '../update/open.ts';

/** How long root may take to sign some thousand paths. Milliseconds. */
const patience = 120_000;
const pause = 200;

/** Signatures to add to the bundle’s narinfos; undefined where Nix takes them as they are. */
export async function vouchFor(
  machine: Machine,
  {
    transaction,
    verified,
    head,
    contents,
  }: {
    transaction: Transaction;
    verified: VerifiedManifest;
    head: Examined['head'];
    contents: Contents;
  },
): Promise<Voucher['signatures'] | undefined> {
  if (contents.kind !== 'bundle') return undefined;
  const trusted = await trustedKeysOf(machine.nix);
  const names = new Set(trusted.map((text) => text.slice(0, text.indexOf(':'))));
  if (isSignedFor(contents.bundle, names)) return undefined;
  const signatures = machine.handsOver
    ? await askRoot(machine, transaction.id, head)
    : await signPaths(machine, verified.manifest);
  transaction.emit('vouched', { paths: Object.keys(signatures).length });
  return signatures;
}

/** By name only; whether the signatures fit is for Nix to say. A path that is named after its contents needs none. */
function isSignedFor({ narinfos }: OpenedBundle, names: ReadonlySet<string>): boolean {
  return [...narinfos.values()].every(
    ({ ca, signatures }) =>
      ca !== undefined || signatures.some((text) => names.has(text.slice(0, text.indexOf(':')))),
  );
}

async function signPaths(
  machine: Pick<Machine, 'floorDirectory'>,
  { paths }: Manifest,
): Promise<Record<StorePath, string>> {
  const key = await readStoreKey(machine);
  return Object.fromEntries(
    paths.map((info) => [info.path, `${key.name}:${key.sign(Buffer.from(fingerprint(info)))}`]),
  );
}

async function askRoot(
  machine: Machine,
  transaction: string,
  head: Examined['head'],
): Promise<Voucher['signatures']> {
  const { settings, clock } = machine;
  await writeRequest(settings.runtimeDirectory, vouchRequests, {
    schema: 1,
    transaction,
    manifest: head.manifestBytes.toString('base64'),
    signatures: head.signatureBytes.toString('base64'),
  });
  const deadline = clock.monotonic() + patience;
  while (clock.monotonic() < deadline) {
    const answer = await readVoucher(settings.activationDirectory, transaction);
    if (answer?.refusal !== undefined) throw new NixmakerError('nix-key-untrusted', answer.refusal);
    if (answer !== undefined) return answer.signatures;
    await clock.sleep(pause);
  }
  throw new NixmakerError('busy', 'nixmaker-activate.service has not answered');
}

/** Serves the agent’s requests, as root. */
export async function serveVouchers(machine: Machine): Promise<void> {
  const { runtimeDirectory, activationDirectory } = machine.settings;
  const reject = (name: string, detail: string) =>
    machine.emit({ event: 'request-rejected', level: 'warn', name, detail });
  const serve = async (request: VouchRequestFile, acknowledge: () => Promise<void>) => {
    await acknowledge();
    const answer = await answerTo(machine, request);
    if (answer.refusal !== undefined) reject('voucher', answer.refusal);
    await writeVoucher(activationDirectory, request.transaction, answer);
  };
  while ((await serveRequests(runtimeDirectory, vouchRequests, { reject, serve })) > 0);
}

async function answerTo(machine: Machine, request: VouchRequestFile): Promise<Voucher> {
  try {
    const bytes = (base64: string) => Buffer.from(base64, 'base64');
    const verified = verifyManifest(bytes(request.manifest), bytes(request.signatures), machine.trust);
    const { operation } = machine.policy;
    const facts = await gatherFacts(machine, verified, { operation, unattended: true });
    const verdict = decide(verified.manifest, facts, machine.policy);
    if (verdict.verdict === 'refuse' || verdict.verdict === 'defer')
      throw new NixmakerError(verdict.code, verdict.detail);
    return { schema: 1, signatures: await signPaths(machine, verified.manifest) };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    return {
      schema: 1,
      signatures: {},
      refusal: `root does not vouch for its paths: ${error.code}: ${error.detail}`,
    };
  }
}
