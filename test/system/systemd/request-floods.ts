/**
 * Floods of what an agent asks root for: as many requests and visits as an agent that was taken over cares to write. Root's helpers have
 * an eighth of a gigabyte, PID 1 included; the next good request or visit is served in bounded time, the units live, and nothing is left.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryGroup } from '../../machines/memory-group.ts';
import { inSample } from '../../support/cases.ts';
import { putRequest, signedParts } from './ask-root.ts';
import {
  carrier,
  clear,
  good,
  inbox,
  many,
  most,
  patience,
  secondsUntil,
  tell,
  whileMade,
} from './flood-scene.ts';
import { bed, drop } from './scene.ts';

interface Flood {
  readonly what: string;
  readonly count: number;
  readonly folder: 'requests' | 'visits';
  /** In awk, what stands in each; `n` is its number, twelve digits. */
  readonly text: string;
  /** Brings what is good, and is behind all of the others. @returns the condition for its being served */
  readonly bring: (name: string) => Promise<readonly [script: string, ...args: string[]]>;
}

/** Genuine, and older than what runs: root looks at it, and refuses it. */
async function bringRequest(name: string) {
  const transaction = 'ffffffffffff';
  const request = { schema: 2, transaction, source: name };
  await putRequest('requests', request, await signedParts(await good(name)));
  return ['test -e "$1"', `/var/lib/nixmaker/activation/receipts/${transaction}.json`] as const;
}

async function bringBundle(name: string) {
  await drop(await good(name), `${name}.tar`);
  return ['test -e "$1"', `${inbox}/done/${name}.tar.txt`] as const;
}

/** Its name is in the middle of the flood's. */
async function bringVisit(name: string) {
  await bed.sh('rm -rf "$1/nixmaker"', carrier);
  const transaction = `0000${name.replaceAll(/[^0-9]/g, '').padStart(8, '5')}`;
  await putRequest('visits', { schema: 1, transaction, place: carrier, findings: [], runs: [] }, {});
  return ['ls "$1"/nixmaker/receipts/web/*.json', carrier] as const;
}

const floods: readonly Flood[] = [
  {
    what: 'requests to root that are none',
    count: many(100_000, 2000),
    folder: 'requests',
    text: '""',
    bring: bringRequest,
  },
  {
    what: 'requests to root for what nobody has signed',
    count: many(100_000, 2000),
    folder: 'requests',
    text: String.raw`sprintf("{\"schema\":2,\"transaction\":\"%s\",\"source\":\"flood\"}", n)`,
    bring: bringBundle,
  },
  {
    what: 'visits that are none',
    count: many(100_000, 2000),
    folder: 'visits',
    text: '""',
    bring: bringVisit,
  },
  {
    what: 'visits to where there is nothing',
    count: many(100_000, 2000),
    folder: 'visits',
    text: String.raw`sprintf("{\"schema\":1,\"transaction\":\"%s\",\"place\":\"/nowhere\",\"findings\":[],\"runs\":[]}", n)`,
    bring: bringVisit,
  },
];

const make = (text: string) =>
  `install -d -o nixmaker -g nixmaker -m 700 "$1"; cd "$1"; setpriv --reuid nixmaker --regid nixmaker --clear-groups awk -v count="$2" 'BEGIN { for (i = 1; i <= count; i++) { n = sprintf("%012d", i); file = n ".json"; printf "%s", ${text} >file; close(file) } }'`;

const paths = 'nixmaker-activate.path nixmaker-receipts.path';
// All that systemd starts meanwhile, and systemd itself.
const group = await memoryGroup(most, bed.init, 'root');

/** One of each folder, where not all are asked for. */
const chosen = floods.filter((_, row) => inSample(row, 1, 2));

for (const [i, { what, count, folder, text, bring }] of chosen.entries())
  test(
    `${count} ${what}: the next good one is served within ${patience} s, in 128 MB`,
    whileMade,
    async (t) => {
      const place = `/run/nixmaker/${folder}`;
      const told = `journalctl --no-pager --output=cat --unit ${folder === 'visits' ? 'nixmaker-receipts' : 'nixmaker-activate'}`;
      const lines = async () => Number(await bed.sh(`${told} | grep -c '"event"' || true`));
      const before = await lines();
      await group?.enter();
      await bed.sh(`systemctl start ${paths}`);
      t.after(() => group?.leave());
      t.after(() => bed.sh(`systemctl stop ${paths}; ${clear(place, '*.json')}`));
      await bed.sh(make(text), place, String(count));
      const left = await bed.sh('ls "$1" | wc -l', place);
      const brought = performance.now();
      const served = await bring(`flooded-by-${i}`);
      const seconds = await secondsUntil(brought, ...served);
      const gone = await secondsUntil(brought, '! ls "$1"/*.json >/run/listed 2>&1', place);
      const [written, peak] = [(await lines()) - before, await group?.peak()];
      await tell({ flood: what, count, left: Number(left), seconds, gone, lines: written, peak });
      assert.ok(written < count / 4, `${written} lines in the journal`);
      const look = await bed.sh(
        `systemctl show --property ActiveState,Result --value ${paths} | grep -v "^$" | xargs`,
      );
      assert.equal((await group?.kills()) ?? 0, 0);
      assert.equal(look.trim(), 'active success active success');
    },
  );
