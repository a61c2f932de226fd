/**
 * Everything that can be known of a release before a disk is touched: signed, for this machine, unexpired, whole, every byte as signed, a
 * system with a nixmaker of its own.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkAllPieces, type OpenedBundle } from '../../bundle/contents.ts';
import { ReleaseTree } from '../../bundle/tree.ts';
import { ifNowhere } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { Keyring, Trust } from '../../core/policy/keyring.ts';
import { policyParser } from '../../core/policy/policy.ts';
import { settingsParser } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import { arrivedText } from '../../core/size.ts';
import { trustSetOf, type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { decideHere } from '../machine/decision.ts';
import { liveMachine, type RootMachine } from '../machine/machine.ts';
import { type Examined, examine, type Source } from '../update/open.ts';
import { requireClosure, wholePieces } from './check-root.ts';
import { type DiskScript, findDiskScript } from './disk-script.ts';
import { machineBelow, type NewMachine } from './new-machine.ts';
import { type NewSystem, readNewSystem } from './new-system.ts';

export interface Asked {
  readonly root: string;
  readonly source: Source;
  /** Whom it must be for; undefined if the bundle itself says so. */
  readonly host: string | undefined;
  readonly trust: Trust;
  readonly keyring: Keyring | undefined;
  readonly identityFile: string | undefined;
  /** By a signed table; otherwise the live system’s own counts. */
  readonly machineId: string | undefined;
  readonly emit: EventSink;
}

export interface CheckedRelease extends Pick<Examined, 'head' | 'isSecret'> {
  readonly verified: VerifiedManifest;
  readonly system: NewSystem;
  /** If the release brings one. */
  readonly diskScript: DiskScript | undefined;
  readonly bundle: OpenedBundle;
  readonly machine: RootMachine;
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/** @throws NixmakerError with the code of the first check that fails */
export async function checkRelease(asked: Asked): Promise<CheckedRelease> {
  const unknown = await machineBelow({
    ...belowAs(asked, undefined),
    settings: settingsParser.parse({}),
    policy: policyParser.parse({
      schema: 1,
      host: asked.host ?? 'unknown',
      operation: 'boot',
      ...asked.trust,
    }),
  });
  const examined = await examine(unknown, asked.source);
  try {
    return { ...(await checkExamined(asked, examined)), close: () => examined.close() };
  } catch (error) {
    await examined.close();
    throw error;
  }
}

const belowAs = (
  { root, keyring, identityFile, emit }: Asked,
  machineId: string | undefined,
): Omit<NewMachine, 'settings' | 'policy'> => ({ root, keyring, identityFile, emit, machineId });

async function checkExamined(asked: Asked, examined: Examined): Promise<Omit<CheckedRelease, 'close'>> {
  const { verified, head, isSecret = false } = examined;
  const { manifest } = verified;
  if (asked.host !== undefined && manifest.host !== asked.host)
    throw new NixmakerError(
      'wrong-host',
      `the bundle is for ${manifest.host}; this machine is to be ${asked.host}`,
    );
  requireClosure(manifest.content);
  const { present, expected } = await examined.measure();
  if (present < expected) throw new NixmakerError('bundle-truncated', arrivedText(present, expected));
  const contents = await examined.open();
  if (contents.kind !== 'bundle')
    throw new NixmakerError('not-installable', 'it is a classic tarball; build it with --format bundle');
  const { bundle } = contents;
  wholePieces(bundle);
  const tree = new ReleaseTree(bundle);
  const system = await readNewSystem(tree, manifest.toplevel);
  const diskScript = await findDiskScript(tree, manifest.toplevel);
  const machine = await judge(asked, { verified, system, bundleBytes: expected });
  await checkAllPieces(bundle);
  const notices = ownPolicySays(system, examined);
  return { verified, head, isSecret, system, diskScript, bundle, machine, notices };
}

interface Judged {
  readonly verified: VerifiedManifest;
  readonly system: NewSystem;
  readonly bundleBytes: number;
}

/** By the new system’s own policy, but with the keys given here, and whatever its window. @returns the machine it will be */
async function judge(asked: Asked, { verified, system, bundleBytes }: Judged): Promise<RootMachine> {
  const { host } = verified.manifest;
  if (system.policy.host !== host)
    throw new NixmakerError(
      'not-installable',
      `its policy is for the host ${system.policy.host}, so it would take no release for ${host}`,
    );
  const trustedKeys = [...asked.trust.trustedKeys];
  const policy = { ...system.policy, ...asked.trust, trustedKeys, operation: 'boot' as const };
  const machineId = await machineIdFor(asked, verified);
  const given = { ...belowAs(asked, machineId), settings: system.settings, policy };
  const machine = await machineBelow(given);
  const facts = { operation: 'boot', unattended: false, bundleBytes } as const;
  // A release bound to a machine counts for the one that is being installed, if it has an id, or for the one we run on.
  const id = machineId ?? asked.machineId ?? (await liveMachine()).machineId;
  const verdict = await decideHere({ ...machine, machineId: id }, verified, facts);
  if (verdict.verdict === 'refuse' || verdict.verdict === 'defer')
    throw new NixmakerError(verdict.code, verdict.detail);
  return machine;
}

/** The id that the new machine has, or has to have because the release is bound to it; undefined if its first start makes one. */
async function machineIdFor(
  { root, machineId }: Asked,
  { manifest }: VerifiedManifest,
): Promise<string | undefined> {
  const text = await readFile(join(root, 'etc/machine-id'), 'utf8').catch(ifNowhere(''));
  const own = /^[0-9a-f]{32}$/.exec(text.trim())?.[0];
  if (own !== undefined || manifest.machineId === undefined) return own;
  return machineId ?? (await liveMachine()).machineId;
}

/** Threat: a typing error in a key, found when the next stick is refused, a journey away. */
function ownPolicySays({ policy }: NewSystem, { head }: Examined): string[] {
  try {
    verifyManifest(head.manifestBytes, head.signatureBytes, trustSetOf(policy));
    return [];
  } catch (error) {
    const why = error instanceof NixmakerError ? `${error.code}: ${error.detail}` : messageOf(error);
    return [
      `By its own policy the new machine would not take this release, and may take no later one (${why}).`,
    ];
  }
}
