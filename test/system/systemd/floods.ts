/**
 * Floods: as many files, keyrings and requests as somebody cares to put there, under an eighth of a gigabyte. The agent lives, and a
 * good bundle that comes meanwhile is taken in bounded time.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MemoryGroup, startWithin } from '../../machines/memory-group.ts';
import { allCases } from '../../support/cases.ts';
import {
  carrier,
  clear,
  good,
  inbox,
  key,
  many,
  most,
  patience,
  secondsUntil,
  tell,
  whileMade,
} from './flood-scene.ts';
import { bed, drop, shop, writePolicy } from './scene.ts';

/** Bytes. */
const atRest = 80 * 1024 ** 2;
let group: MemoryGroup | undefined;

const pid = async () => (await bed.sh('systemctl show --property MainPID --value nixmaker.service')).trim();
async function memory(field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const text = await bed.sh('cat "/proc/$1/status"', await pid());
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1]) * 1024;
}

test('the agent at rest has less than 80 MB', async () => {
  await writePolicy({ keyringVersion: 50, trustedKeys: [key.publicKey], media: { folders: [carrier] } });
  await bed.sh('systemctl stop nixmaker.service; rm -rf /var/lib/nixmaker/inbox/*; mkdir "$1"', carrier);
  group = await startWithin(most, bed.init, () =>
    bed.sh('systemctl start nixmaker.service').then(() => undefined),
  );
  await bed.until('systemctl show nixmaker --property=StatusText | grep -q Watching');
  await bed.until(
    'before=$(cat "/proc/$1/stat" | cut -d" " -f14,15); sleep 2; test "$before" = "$(cat "/proc/$1/stat" | cut -d" " -f14,15)"',
    await pid(),
  );
  const resident = await memory('VmRSS');
  await tell({ flood: 'none: at rest', resident });
  assert.ok(resident < atRest, `${resident} bytes`);
});

interface Flood {
  readonly what: string;
  readonly count: number;
  /** A shell script, with the count. */
  readonly make: string;
  readonly sweep: string;
  /** What else is good and comes behind it. @returns seconds until it is served */
  readonly andThen?: () => Promise<number>;
  /** The agent stands still meanwhile, so that the kernel has more to tell it than it keeps (inotify(7), max_queued_events). */
  readonly isUnheard?: true;
}

/** The next keyring, under the name that the format gives it. */
async function acceptKeyring(): Promise<number> {
  const [json, file] = [join(shop.folder, 'flooded.json'), join(shop.folder, '51.keyring')];
  const trustedKeys = [key.publicKey];
  const keyring = { schema: 1, version: 51, hosts: ['web'], trustedKeys, threshold: 1, roles: {} };
  await writeFile(json, JSON.stringify(keyring));
  for (const args of [
    ['make', json, file],
    ['sign', '--key', key.secretFile, file],
  ])
    assert.equal((await shop.builder.nixmaker(['keyring', ...args])).code, 0);
  const dropped = performance.now();
  await drop(file, '51.keyring');
  return secondsUntil(dropped, 'nixmaker status | grep -q "Keyring: *version 51"');
}

// One file with so many names would be one inode; each is a file of its own.
const floods: readonly Flood[] = [
  {
    what: 'empty files named like bundles in the inbox',
    count: many(100_000, 5000),
    make: `cd ${inbox}; seq -f "flood-%g.tar" "$1" | xargs touch`,
    sweep: `cd ${inbox}; ${clear('.', 'flood-*')}`,
  },
  {
    what: 'empty files of which, and of the good one, nobody is told',
    count: many(50_000, 9000),
    isUnheard: true,
    make: `cd ${inbox}; seq -f "flood-%g.tar" "$1" | xargs touch`,
    sweep: `cd ${inbox}; ${clear('.', 'flood-*')}`,
  },
  {
    what: 'files of a kilobyte named like bundles, that are none',
    count: many(100_000, 2000),
    make: `cd ${inbox}; head -c 1024 /dev/urandom >.seed; seq -f "flood-%g.tar" "$1" | xargs -n 500 sh -c 'tee "$@" <.seed >/dev/null' sh`,
    sweep: `cd ${inbox}; ${clear('.', 'flood-*')}; rm .seed`,
  },
  {
    what: 'age files to 64 strangers',
    count: many(100_000, 500),
    make: `cd ${inbox}; { echo age-encryption.org/v1; for i in $(seq 64); do printf -- "-> X25519 %s\\n%s\\n" "$(head -c 32 /dev/urandom | base64 | tr -d =)" "$(head -c 32 /dev/urandom | base64 | tr -d =)"; done; echo "--- $(head -c 32 /dev/zero | base64 | tr -d =)"; head -c 200 /dev/urandom; } >.seed; seq -f "flood-%g.tar.age" "$1" | xargs -n 500 sh -c 'tee "$@" <.seed >/dev/null' sh`,
    sweep: `cd ${inbox}; ${clear('.', 'flood-*')}; rm .seed`,
  },
  {
    what: 'folders in the inbox',
    count: many(100_000, 3000),
    make: `cd ${inbox}; seq -f "flood-%g" "$1" | xargs mkdir`,
    sweep: `cd ${inbox}; find . -maxdepth 1 -name "flood-*" | xargs rmdir`,
  },
  {
    what: 'keyrings that nobody trusts',
    count: many(100_000, 1000),
    make: `cd ${inbox}; awk -v count="$1" '{ for (n = 1; n <= count; n++) { line = $0; sub(/NUMBER/, n, line); file = "flood-" n ".keyring"; print line >file; close(file) } }' /root/keyring`,
    sweep: `cd ${inbox}; ${clear('.', 'flood-*')}`,
    andThen: acceptKeyring,
  },
];

test('floods are made of what an agent has to look at', async () => {
  // A keyring as large as it may be, of the next version, each another: signed by its own key alone.
  const hosts = Array.from({ length: allCases ? 10 : 3000 }, (_, i) => `host-${String(i).padStart(56, '0')}`);
  const payload = `${JSON.stringify({ schema: 1, version: 51, hosts, trustedKeys: [{ key: key.publicKey, roles: [] }], threshold: 1, roles: {} })}\n`;
  const envelope = {
    payloadType: 'application/vnd.nixmaker.keyring.v1+json',
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: 'NUMBER', sig: 'none' }],
  };
  await bed.write('/root/keyring', `${JSON.stringify(envelope)}\n`);
});

for (const [i, { what, count, make, sweep, andThen, isUnheard }] of floods.entries())
  test(
    `${count} ${what}: the next good bundle is taken within ${patience} s, in 128 MB`,
    whileMade,
    async (t) => {
      const name = `flooded-${i}`;
      const bundle = await good(name);
      const before = await pid();
      t.after(() => bed.sh(sweep));
      if (isUnheard) await bed.sh('kill -STOP "$1"', before);
      await bed.sh(make, String(count));
      // Behind all of the others, by its name.
      const dropped = performance.now();
      await drop(bundle, `zz-${name}.tar`);
      if (isUnheard) await bed.sh('kill -CONT "$1"', before);
      const seconds = await secondsUntil(dropped, 'test -e "$1"', `${inbox}/done/zz-${name}.tar.txt`);
      const [resident, peak] = [await memory('VmHWM'), await group?.peak()];
      await tell({ flood: what, count, seconds, andThen: await andThen?.(), resident, peak });
      assert.equal(await pid(), before, 'it is the same agent');
      assert.equal((await group?.kills()) ?? 0, 0);
      assert.ok(resident < most, `${resident} bytes`);
    },
  );
