/** What all floods have in common: how many, within how much memory, and the good bundle that comes behind each. */
import assert from 'node:assert/strict';
import { allCases } from '../../support/cases.ts';
import { makeKeys, plainHost } from '../../support/fleet.ts';
import { keepTable } from '../../support/out.ts';
import { bed, shop } from './scene.ts';

/** Bytes that everything may have that looks at a flood. */
export const most = 128 * 1024 ** 2;
/** Seconds until a good thing that comes after the flood is served. */
export const patience = allCases ? 300 : 60;
/** A flood is made by programs that share two processors with whoever looks at it. Milliseconds. */
export const whileMade = allCases ? { timeout: 1_800_000 } : {};
export const many = (full: number, reduced: number) => (allCases ? full : reduced);
export const key = await makeKeys(shop.folder, 'flood-1');

export const inbox = '/var/lib/nixmaker/inbox';

/** A folder that a carrier fills. */
export const carrier = '/srv/carrier';

/** The agent and root move and remove some of them meanwhile; gone is gone. */
export const clear = (folder: string, names: string) =>
  `while [ -n "$(find ${folder} -name '${names}' -print -quit 2>/dev/null)" ]; do find ${folder} -depth -name '${names}' -exec rm -rf {} + 2>/dev/null || true; done`;

// Above all that was taken on this machine before (stolen-key.ts).
let sequence = 6000;

/** A bundle newer than all before it. */
export async function good(name: string): Promise<string> {
  sequence += 10;
  const path = await shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
  });
  assert.equal((await shop.builder.nixmaker(['sign', '--key', key.secretFile, path])).code, 0);
  return path;
}

/** Waits for it, with the bound on a flood. @returns seconds since then @param since as performance.now() has it */
export async function secondsUntil(since: number, script: string, ...args: string[]): Promise<number> {
  const wait = 'script=$1; shift; until sh -euc "$script" sh "$@"; do sleep 0.2; done';
  const waited = await bed.run(['timeout', String(patience), 'sh', '-c', wait, 'sh', script, ...args]);
  const log = () => bed.sh('journalctl --no-pager --unit "nixmaker*" --lines 20 --output=cat');
  assert.equal(waited.code, 0, await log());
  return Math.round((performance.now() - since) / 100) / 10;
}

const rows: Record<string, unknown>[] = [];

export async function tell(row: Readonly<Record<string, unknown>>): Promise<void> {
  rows.push(row);
  await keepTable('floods', { cases: rows });
}
