/** A first install: everything checked, then done, then told to the stick. */
import { resolve } from 'node:path';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { Overwrites } from '../../core/install/consent.ts';
import type { Keyring, Trust } from '../../core/policy/keyring.ts';
import type { EventSink } from '../../core/ports.ts';
import { needOfLines } from '../../core/release/need.ts';
import { withLock } from '../machine/with-lock.ts';
import { type CheckedRelease, checkRelease } from './check-release.ts';
import { checkRoot } from './check-root.ts';
import { chooseHostHere } from './choose.ts';
import { requireDisks, runDiskScript } from './disk-script.ts';
import { findRelease } from './find-release.ts';
import { deliverReceipt, type Reach } from './record.ts';
import { requireNotMounted, requireRootFolder } from './root-folder.ts';
import { type Done, install } from './steps.ts';

export interface InstallRequest {
  /** A bundle, or where a medium is mounted. */
  readonly place: string;
  /** Where the new system’s file systems are mounted. */
  readonly root: string;
  readonly host: string | undefined;
  /** A signed table of hosts; by default the medium’s, if it has one. */
  readonly hosts: string | undefined;
  /** Whose signatures count. */
  readonly trust: Trust;
  readonly keyring: { readonly keyring: Keyring; readonly text: string } | undefined;
  readonly identityFile: string | undefined;
  readonly plainFolder: boolean;
  /** Whether the release’s disk script is to make the file systems, and mount them at the root folder. */
  readonly format: boolean;
  /** The disks that it may overwrite, named by a person; otherwise those that the signed table names. */
  readonly disks: readonly string[];
  /** Only check. */
  readonly dryRun: boolean;
  /** With `dryRun`: what the disk script would overwrite is only told, whoever has named it. */
  readonly anyDisks?: boolean;
  /** Where the receipt goes besides the new machine’s outbox; by default the medium. */
  readonly receipts: string | undefined;
  /** How the medium is written to; by default where it is mounted. */
  readonly reach?: Reach | undefined;
  readonly emit: EventSink;
}

export interface InstallResult extends Partial<Done> {
  readonly host: string;
  readonly sequence: number;
  readonly toplevel: string;
  readonly signedBy: readonly string[];
  readonly root: string;
  readonly installed: boolean;
  readonly notices: readonly string[];
  /** Whether a signed table says that this machine is installed without a key being pressed. */
  readonly unattended: boolean;
  /** With `format`: what the disk script overwrites. */
  readonly overwrites?: Overwrites | undefined;
  /** Where the first receipt lies, for `collect --enrol`; undefined if it waits for the machine’s first stick. */
  readonly receiptOn?: string | undefined;
}

/** @throws NixmakerError: before the first write for anything that can be known by then, otherwise `install-failed` and what steps throw */
export async function firstInstall(request: InstallRequest): Promise<InstallResult> {
  const { trust, keyring, identityFile, emit, format } = request;
  if (format) await requireNotMounted(resolve(request.root));
  const root = format ? resolve(request.root) : await requireRootFolder(request.root, request);
  const { host, entry, unattended, notices: ofTable } = await chooseHostHere(request);
  const { source, name, medium } = await findRelease(request.place, host);
  const asked = { root, source, host, trust, keyring: keyring?.keyring, identityFile, emit };
  const checked = withNotices(await checkRelease({ ...asked, machineId: entry?.machineId }), ofTable);
  const going = goOn({ ...request, root }, checked, { name, disks: entry?.disks ?? [] });
  const { done, overwrites } = await going.finally(() => checked.close());
  const { notices } = checked;
  const says = { ...saysOf(checked), root, unattended, overwrites };
  if (done === undefined) return { ...says, installed: false, notices };
  // Nothing on the medium is open any more: it may be mounted in another way.
  const told = await tell(checked, request.receipts ?? medium, request.reach);
  const all = [...notices, ...done.notices, ...told.notices];
  return { ...says, ...done, installed: true, receiptOn: told.receiptOn, notices: all };
}

/** @param found `name`: of the release, for people; `disks`: as the signed table names them */
async function goOn(
  request: InstallRequest,
  checked: CheckedRelease,
  { name, disks }: { readonly name: string; readonly disks: readonly string[] },
): Promise<{ readonly done?: Done; readonly overwrites: Overwrites | undefined }> {
  const { root, format, dryRun, keyring, emit } = request;
  const overwrites = format ? await formatDisks(request, checked, disks) : undefined;
  // What follows can only be known once the file systems are there.
  if (format && dryRun) return { overwrites };
  if (format) await requireRootFolder(root, request);
  const wanted = await checkRoot(checked.machine, { root, ...checked });
  const { host, toplevel } = checked.verified.manifest;
  emit({ event: 'install-checked', host, toplevel });
  if (dryRun) return { overwrites };
  const done = await withLock(checked.machine, () =>
    install({ ...checked, root, wanted, keyring, source: name }),
  );
  return { done, overwrites };
}

async function formatDisks(
  { disks, dryRun, anyDisks = false }: InstallRequest,
  { machine, bundle, diskScript }: CheckedRelease,
  ofTable: readonly string[],
): Promise<Overwrites> {
  const need = needOfLines(bundle.index, bundle.index.paths().keys());
  const given = disks.length > 0 ? disks : ofTable;
  const named = dryRun && anyDisks && given.length === 0 ? undefined : given;
  const { script, empty } = await requireDisks(machine, diskScript, { named, need });
  if (!dryRun) await runDiskScript(machine, bundle, script);
  return { disks: script.disks, empty, named: named !== undefined };
}

const withNotices = (checked: CheckedRelease, more: readonly string[]): CheckedRelease => ({
  ...checked,
  notices: [...more, ...checked.notices],
});

const saysOf = ({ verified: { manifest, signedBy } }: CheckedRelease) => ({
  ...{ host: manifest.host, sequence: manifest.sequence, toplevel: manifest.toplevel },
  signedBy,
});

/** The system is installed, whatever becomes of the receipt: it waits in the outbox, and the next stick takes it. */
async function tell(
  { machine }: CheckedRelease,
  medium: string | undefined,
  reach: Reach | undefined,
): Promise<{ readonly receiptOn?: string; readonly notices: readonly string[] }> {
  const waits = 'The receipt waits on the new machine; its first stick brings it home';
  if (medium === undefined) return { notices: [`${waits}.`] };
  try {
    await deliverReceipt(machine, medium, reach);
    return { receiptOn: medium, notices: [] };
  } catch (error) {
    const why = error instanceof NixmakerError ? `${error.code}: ${error.detail}` : messageOf(error);
    return { notices: [`${waits} (${why}).`] };
  }
}
