/**
 * An operator goes back to an existing generation. It goes through the same states as a bundle, so it too may be cut off anywhere. The
 * floor stays: what was taken once is not taken again as new.
 */
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { StorePath } from '../../core/store-path.ts';
import { listGenerations, readProfile } from '../../nix/profile.ts';
import { lastOfEach } from '../../state/journal.ts';
import { activate } from '../activate/activate.ts';
import { resumeStopped } from '../activate/resume.ts';
import { readKnownFloor } from '../machine/floor.ts';
import { releaseOf } from '../machine/held.ts';
import type { RootMachine } from '../machine/machine.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';

/** @param to the generation’s number; if omitted, the newest before the present one */
export async function goBack(machine: RootMachine, to: number | undefined): Promise<Receipt> {
  return withLock(machine, async () => {
    await resumeStopped(machine);
    const { profile } = machine.settings;
    const generations = await listGenerations(profile);
    const present = (await readProfile(profile)).generation ?? Number.POSITIVE_INFINITY;
    const number = to ?? Math.max(...[...generations.keys()].filter((n) => n < present));
    const toplevel = generations.get(number);
    if (toplevel === undefined) {
      const there = [...generations.keys()].sort((a, b) => a - b).join(', ');
      throw new NixmakerError(
        'no-such-generation',
        `available generations: ${there === '' ? 'none' : there}`,
      );
    }
    const transaction = await Transaction.begin(machine, `generation ${number}`);
    transaction.learn({ targetGeneration: number, ...(await releasesOf(machine, toplevel)) });
    return endingWhatThrows(machine, { transaction }, () =>
      activate(machine, { transaction, toplevel, operation: 'switch' }),
    );
  });
}

/** Which release is left, if it could be taken again, and which one is gone back to. */
async function releasesOf(machine: RootMachine, toplevel: StorePath) {
  const { floor, records } = await readKnownFloor(machine);
  const installed = (await readProfile(machine.settings.profile)).toplevel;
  const left = releaseOf(records, installed);
  const next = releaseOf(records, toplevel);
  const oneWay = lastOfEach(records).findLast(
    (r) => r.toplevel === installed && typeof r.noWayBack === 'string',
  );
  const isOver =
    left === undefined || left.sequence === next?.sequence || left.floor < (floor?.sequence ?? 0);
  return given({
    rolledBackFrom: isOver ? undefined : left.sequence,
    rolledBackTo: next?.sequence,
    notices:
      oneWay === undefined ? undefined : [`Release ${oneWay.sequence} is one-way: ${oneWay.noWayBack}`],
  });
}
