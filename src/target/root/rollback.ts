/**
 * An operator goes back to an existing generation. It goes through the same states as a bundle, so it too may be cut off anywhere. The
 * floor stays: what was taken once is not taken again as new.
 */
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { oneWayPassed, oneWayText } from '../../core/run/one-way.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { StorePath } from '../../core/store-path.ts';
import { listGenerations, readProfile } from '../../nix/profile.ts';
import { lastOfEach } from '../../state/journal.ts';
import { activate } from '../activate/activate.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { resumeStopped } from '../activate/resume.ts';
import { readKnownFloor } from '../machine/floor.ts';
import { releaseOf } from '../machine/held.ts';
import type { RootMachine } from '../machine/machine.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';

export interface GoingBack {
  /** The generation’s number; if omitted, the newest before the present one. */
  readonly to?: number | undefined;
  /** Also past a release from which there is no way back: the person has seen to its data. */
  readonly despiteOneWay?: boolean | undefined;
  /** Without the policy’s hooks: one of them may be what is broken. */
  readonly withoutHooks?: boolean | undefined;
}

/** @throws NixmakerError `no-such-generation`, `one-way` */
export async function goBack(opened: RootMachine, asked: GoingBack): Promise<Receipt> {
  const machine = asked.withoutHooks === true ? withoutHooks(opened) : opened;
  return withLock(machine, async () => {
    await resumeStopped(machine);
    const { profile } = machine.settings;
    const generations = await listGenerations(profile);
    const present = (await readProfile(profile)).generation ?? Number.POSITIVE_INFINITY;
    const number = asked.to ?? Math.max(...[...generations.keys()].filter((n) => n < present));
    const toplevel = generations.get(number);
    if (toplevel === undefined) {
      const there = [...generations.keys()].sort((a, b) => a - b).join(', ');
      throw new NixmakerError(
        'no-such-generation',
        `available generations: ${there === '' ? 'none' : there}`,
      );
    }
    const releases = await releasesOf(machine, { toplevel, to: number, from: present });
    const { passed, ...learned } = releases;
    if (passed.length > 0 && asked.despiteOneWay !== true)
      throw new NixmakerError('one-way', oneWayText(passed));
    const transaction = await Transaction.begin(machine, `generation ${number}`);
    transaction.learn({ targetGeneration: number, ...learned });
    if (passed.length > 0) transaction.notice(`Gone back although ${oneWayText(passed)}.`);
    const receipt = await endingWhatThrows(machine, { transaction }, () =>
      activate(machine, { transaction, toplevel, operation: 'switch' }),
    );
    return (await runAfterHook(machine)) ?? receipt;
  });
}

const withoutHooks = (machine: RootMachine): RootMachine => ({
  ...machine,
  policy: { ...machine.policy, hooks: {} },
});

interface Way {
  readonly toplevel: StorePath;
  readonly to: number;
  readonly from: number;
}

/** Which release is left, if it could be taken again, which one is gone back to, and which one-way ones are passed. */
async function releasesOf(machine: RootMachine, { toplevel, to, from }: Way) {
  const { floor, records } = await readKnownFloor(machine);
  const installed = (await readProfile(machine.settings.profile)).toplevel;
  const left = releaseOf(records, installed);
  const next = releaseOf(records, toplevel);
  const passed = oneWayPassed(lastOfEach(records), { to, from, installed, sequence: next?.sequence });
  const isOver =
    left === undefined || left.sequence === next?.sequence || left.floor < (floor?.sequence ?? 0);
  return {
    passed,
    ...given({ rolledBackFrom: isOver ? undefined : left.sequence, rolledBackTo: next?.sequence }),
  };
}
