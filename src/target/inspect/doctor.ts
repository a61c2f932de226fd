/** What is wrong on this machine, or soon will be, before a bundle finds out. Reads only. */
import { statfs } from 'node:fs/promises';
import { listFailedUnits } from '../../activation/health.ts';
import { findInhibitors } from '../../activation/inspect.ts';
import { listRestarts, type Restarts } from '../../activation/restarts.ts';
import { ifMissing, isMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { heldText } from '../../core/policy/held.ts';
import type { ContentsRecord } from '../../core/run/damage.ts';
import { timeFloorOf } from '../../core/run/floor.ts';
import { sizeText } from '../../core/size.ts';
import { isWrongKind, namesInForeign, withForeign } from '../../files/foreign.ts';
import { spaceAt } from '../../media/space.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import { isRecentNix, nixSetting, nixVersion, pingStore } from '../../nix/settings.ts';
import { storeFolder } from '../../nix/store.ts';
import { localMinute } from '../../report/local-time.ts';
import { readFloor } from '../../state/floor.ts';
import { readJournal } from '../../state/journal.ts';
import { readUnverified } from '../../state/unverified.ts';
import { readKnownFloor, timeFloor } from '../machine/floor.ts';
import { readHeld } from '../machine/held.ts';
import type { Machine } from '../machine/machine.ts';
import { withNix } from '../machine/with-nix.ts';
import { accessTo } from '../update/medium-access.ts';
import { unreadableFault } from '../update/unreadable.ts';
import { checkAgentRights } from './agent-rights.ts';
import { checkBoot, checkSystem } from './boot.ts';
import { checkCarriers } from './carriers.ts';
import { checkRecord } from './contents.ts';
import { bad, type Diagnosis, type Found, look, ok } from './found.ts';
import { checkGenerations } from './generations.ts';
import { checkHooks } from './hooks.ts';
import { checkMedia } from './media-roots.ts';
import { findKeyDifferences } from './nix-keys.ts';
import { checkStaged } from './staged.ts';
import { findStanding, standingText } from './standing.ts';
import { readAllJournals } from './status.ts';
import { checkWaiting } from './waiting.ts';

export { readDeeply } from './contents.ts';
export type { Diagnosis } from './found.ts';

type Check = (machine: Machine, read: ContentsRecord | undefined) => Promise<Found>;

/** In the order in which a bundle would meet them. Settings, policy and keys were read when the machine was opened. */
const checks: Readonly<Record<string, Check>> = {
  policy: async ({ policy }) =>
    ok(`host ${policy.host}, operation ${policy.operation}, realise ${policy.realise}`),
  keys: checkKeys,
  'nix-keys': checkNixKeys,
  nix: checkNix,
  'require-sigs': async ({ nix }) =>
    (await nixSetting(nix, 'require-sigs')) === 'true'
      ? ok('Nix checks signatures too')
      : look(
          'require-sigs is false, so Nix accepts paths that nobody signed',
          'Remove `require-sigs = false` from nix.conf.',
        ),
  durable: async ({ nix }) =>
    (await nixSetting(nix, 'fsync-store-paths')) === 'true'
      ? ok('store paths are flushed to disk before they count')
      : look(
          'fsync-store-paths is off, so a power cut during an import is repaired afterwards rather than prevented',
          'Set `fsync-store-paths = true` in nix.conf (the NixOS module does).',
        ),
  clock: checkClock,
  floor: async (machine) => {
    const { floor, doubt } = await readKnownFloor(machine);
    if (doubt !== undefined)
      return bad(`lost: ${doubt}`, 'Run `nixmaker floor`, then `nixmaker floor adopt`.');
    return ok(floor === undefined ? 'no bundle taken yet' : `sequence ${floor.sequence}`);
  },
  state: checkState,
  held: async ({ floorDirectory }) => {
    const { held, heldDoubt } = await readHeld(floorDirectory, (await readFloor(floorDirectory)).floor);
    if (heldDoubt !== undefined)
      return bad(
        `unknown: ${heldDoubt}`,
        'Run `nixmaker release --all`, then hold releases again as needed.',
      );
    return ok(held.length === 0 ? 'no release' : held.map(heldText).join(', '));
  },
  staged: checkStaged,
  journal: async ({ floorDirectory }) => {
    const { unreadable, newer = 0 } = await readJournal(floorDirectory);
    const damaged = unreadable - newer;
    if (damaged > 0)
      return look(`${damaged} lines cannot be read`, 'The disk may be failing; check its SMART values.');
    return ok(
      newer === 0
        ? 'every line can be read'
        : `${newer} lines were written by a newer nixmaker, and were skipped`,
    );
  },
  run: checkRun,
  requests: async ({ floorDirectory }) => {
    const unverified = await readUnverified(floorDirectory);
    if (unverified === undefined) return ok('root could verify them all');
    const { count, at, code } = unverified;
    return look(
      `${count} that root could not verify, most recently at ${localMinute(at)} (${code})`,
      'The agent verifies before it asks, so it may have been compromised. Look at what arrived before that time, then bring a new system or restart nixmaker.service.',
    );
  },
  agent: checkAgentRights,
  inbox: checkInbox,
  waiting: checkWaiting,
  carriers: checkCarriers,
  room: checkRoomLeft,
  generations: checkGenerations,
  boot: checkBoot,
  system: checkSystem,
  contents: checkRecord,
  inhibitors: async ({ settings }) => {
    const [running, { toplevel }] = [
      await readSystemLink(settings.currentSystem),
      await readProfile(settings.profile),
    ];
    if (running === undefined || toplevel === undefined) return ok('nothing to compare');
    const keys = await findInhibitors(running, toplevel);
    return keys.length === 0
      ? ok('nothing prevents switching to the installed system')
      : look(`${keys.join(', ')}: the installed system cannot be switched to`, 'Restart the machine.');
  },
  hooks: checkHooks,
  units: checkUnits,
  'failed-units': async ({ run, settings }) => {
    const isAsked = settings.activation === 'systemd';
    const failed = isAsked ? await listFailedUnits(run) : [];
    const restarts = (isAsked ? await listRestarts(run) : undefined) ?? new Map<string, Restarts>();
    const down = [...restarts].filter(([, { waits }]) => waits).map(([unit]) => `${unit} (keeps restarting)`);
    if (failed === undefined) return look('systemd is not responding', 'Check `systemctl status`.');
    return failed.length + down.length === 0
      ? ok('none')
      : look(
          [...failed, ...down].join(', '),
          'Check `systemctl status` for each. Only newly failed units cause a rollback.',
        );
  },
  media: checkMedia,
};

/**
 * Each check stands alone: whatever it throws is its finding.
 * @param read what has just been read of the systems’ contents; otherwise the last record counts
 */
export async function diagnose(opened: Machine, read?: ContentsRecord): Promise<Diagnosis[]> {
  const machine = withNix(opened, { ...opened.nix, settings: {} });
  return Promise.all(
    Object.entries(checks).map(async ([check, examine]): Promise<Diagnosis> => {
      try {
        return { check, ...(await examine(machine, read)) };
      } catch (error) {
        const code = error instanceof NixmakerError ? error.code : 'internal';
        // Reported once, by the check that is about it.
        if (code === 'nix-unavailable' && check !== 'nix')
          return { check, ...look('unknown: Nix is not responding', 'See `nix` in this list.') };
        return { check, ...bad(messageOf(error), `See \`nixmaker explain ${code}\`.`) };
      }
    }),
  );
}

async function checkKeys({
  policy,
  trust,
  keyring,
}: Pick<Machine, 'policy' | 'trust' | 'keyring'>): Promise<Found> {
  const count = trust.keys.length;
  const ring = keyring === undefined ? '' : `, keyring ${keyring.version}`;
  if (count < policy.threshold)
    return bad(`${count} keys for a threshold of ${policy.threshold}`, 'Add trusted keys to the policy.');
  return count === policy.threshold && count > 1
    ? look(
        `all ${count} keys must sign${ring}: losing one locks this machine out of updates`,
        'Trust one key more than the threshold.',
      )
    : ok(`${count} trusted, ${policy.threshold} needed${ring}`);
}

async function checkNixKeys(machine: Pick<Machine, 'nix' | 'policy' | 'floorDirectory'>): Promise<Found> {
  const { unknownToNix, unknownToPolicy } = await findKeyDifferences(machine);
  if (unknownToNix.length + unknownToPolicy.length === 0) return ok('Nix trusts what the policy trusts');
  const what = [
    ...(unknownToNix.length > 0 ? [`Nix does not know ${unknownToNix.join(', ')}`] : []),
    ...(unknownToPolicy.length > 0
      ? [`Nix also trusts ${unknownToPolicy.join(', ')}; the policy does not, so no bundle counts by them`]
      : []),
  ];
  const next = [
    ...(unknownToNix.length > 0
      ? ['Add what is missing to `trusted-public-keys`, or have root vouch for paths (`nixmaker store-key`).']
      : []),
    ...(unknownToPolicy.length > 0
      ? [
          'Remove keys you do not need from `trusted-public-keys`: their holders can import paths that block a release.',
        ]
      : []),
  ];
  return look(what.join('; '), next.join(' '));
}

async function checkRun({ settings }: Pick<Machine, 'settings'>): Promise<Found> {
  const standing = await findStanding(settings, async () => (await readAllJournals(settings)).records);
  if (standing === undefined) return ok('no stuck run');
  const { what, next } = standingText(standing);
  return standing.hasBegunToChange ? bad(what, next) : look(what, next);
}

async function checkNix({ nix }: Pick<Machine, 'nix'>): Promise<Found> {
  const version = await nixVersion(nix);
  await pingStore(nix);
  return isRecentNix(version)
    ? ok(version)
    : bad(`${version} is too old`, 'See `nixmaker explain nix-too-old`.');
}

async function checkClock(machine: Pick<Machine, 'clock' | 'floorDirectory'>): Promise<Found> {
  const { floor } = await readFloor(machine.floorDirectory);
  const now = machine.clock.now().toISOString();
  if (timeFloor(machine, floor).clockBehind)
    return look(
      `it says ${localMinute(now)}, before the newest signed time seen (${localMinute(timeFloorOf(floor?.createdAt))})`,
      'Set the clock; windows stay closed until then. If the signed time is wrong: `nixmaker floor adopt --time`.',
    );
  return ok(localMinute(now));
}

/** Counted up to this number: an inbox may be full of anything. */
const mostNames = 10_000;

async function checkInbox({ clock, settings }: Pick<Machine, 'clock' | 'settings'>): Promise<Found> {
  const { withDeadline } = accessTo({ clock, settings }, { path: settings.inbox });
  const list = () =>
    withForeign(settings.inbox, async (folder) => ({
      mode: (await folder.handle.stat()).mode,
      names: await namesInForeign(folder, mostNames),
    }));
  try {
    const { mode, names } = await withDeadline(list);
    if ((mode & 0o002) !== 0)
      return look(`anyone may write to ${settings.inbox}`, 'chmod o-w, and use a group (`inbox.group`).');
    const waiting = names.filter((n) => !['done', 'refused'].includes(n) && !n.startsWith('.'));
    return ok(waiting.length === 0 ? 'empty' : `${waiting.length} files waiting`);
  } catch (error) {
    if (isMissing(error) || isWrongKind(error))
      return bad(`${settings.inbox} is not a folder`, 'Start nixmaker.service, which creates it.');
    return bad(
      `cannot read ${settings.inbox}: ${unreadableFault(error).detail}`,
      'Mount it again, or check its permissions and its disk. Media and carriers’ folders are still served.',
    );
  }
}

/** statfs(2), f_type: tmpfs and ramfs. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Checks root’s own folder, which holds what must not be forgotten. The agent’s is beside it. */
async function checkState({ floorDirectory }: Pick<Machine, 'floorDirectory'>): Promise<Found> {
  const found = await statfs(floorDirectory).catch(ifMissing(undefined));
  return found !== undefined && inMemory.has(found.type)
    ? look(
        `${floorDirectory} is in memory, so the floor, the journal and the keys are lost on every restart`,
        'Keep it on a disk (docs/operations.md, a root file system in memory).',
      )
    : ok('on disk');
}

async function checkRoomLeft({ nix, policy }: Pick<Machine, 'nix' | 'policy'>): Promise<Found> {
  const { freeBytes, freeInodes } = await spaceAt(storeFolder(nix));
  const what = `${sizeText(freeBytes)} free in the store`;
  const next = 'Delete old generations: `nix-collect-garbage --delete-older-than 30d`.';
  if (freeBytes < policy.limits.freeBytes) return bad(`${what}, less than the policy keeps free`, next);
  if (freeBytes < policy.limits.freeBytes + 1024 ** 3) return look(`${what}: a system may not fit`, next);
  if (freeInodes !== undefined && freeInodes < 20_000) return look(`only ${freeInodes} inodes free`, next);
  return ok(what);
}

const services = ['nixmaker.service', 'nixmaker-activate.path'];

async function checkUnits({ run, settings }: Pick<Machine, 'run' | 'settings'>): Promise<Found> {
  if (settings.activation !== 'systemd') return ok('not under systemd (`activation` is `direct`)');
  const { stdout } = await run('systemctl', ['is-active', ...services]);
  const states = stdout.trim().split('\n');
  const down = services.filter((_, i) => states[i] !== 'active');
  return down.length === 0
    ? ok(`${services.join(', ')} active`)
    : bad(`${down.join(', ')} not active`, `systemctl status ${down.join(' ')}`);
}
