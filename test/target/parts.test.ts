/** A release on three media, on real targets: any order, cut off in between, one of another release among them. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nixSystem } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const { folder } = shop;
const drive = (target: string) => join(folder, `drive-${target}`);

/** Paths that nothing else shares, each on the one before it: so a medium is full after some of them. */
const chain = (name: string) =>
  Array.from({ length: 6 }, (_, i) => i).reduce((before, i) => {
    const args = `[ "-c" "head -c 300000 /dev/urandom >$out; echo ${before} >>$out" ]`;
    return `\${derivation { name = "${name}-${i}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = ${args}; }}`;
  }, 'end');

/** The release on three media, `<name>/part-1` to `part-3`. */
async function discs(name: string, sequence: number): Promise<string> {
  const args = ['--sequence', String(sequence)];
  const bundle = await shop.bundle(name, {
    hosts: { web: plainHost('web', `${name} ${chain(name)}`) },
    args,
  });
  const out = join(folder, name);
  await mkdir(out);
  const put = await shop.builder.nixmaker(['put', out, bundle, '--size', '800K', '--json']);
  assert.equal(put.code, 0, put.stderr);
  const { parts } = JSON.parse(put.stdout) as { parts: { part: number; of: number; place: string }[] };
  assert.deepEqual(
    parts.map(({ part, of }) => [part, of]),
    [
      [1, 3],
      [2, 3],
      [3, 3],
    ],
  );
  return out;
}

const fresh = await discs('new', 20);
const stale = await discs('old', 10);

async function machine(name: string): Promise<Target> {
  await mkdir(drive(name));
  const policy = { media: { folders: [drive(name)] } };
  const trustedKeys = [shop.keys.publicKey];
  // Receipts are signed and written where one process is agent and root.
  const settings = { activationDirectory: join(folder, name, 'state') };
  const target = await makeTarget(join(folder, name), { host: 'web', trustedKeys, policy, settings });
  after(() => target.close());
  return target;
}

/** As a disc that is put into the drive in place of another. */
async function insert(name: string, target: Target, disc: string) {
  await rm(join(drive(name), 'nixmaker'), { recursive: true, force: true });
  await cp(disc, drive(name), { recursive: true });
  const once = await target.verb('agent', ['--once']);
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as {
    last: { state: string; code?: string; detail?: string };
    parts?: { needed: number[]; here: number; paths: number };
  };
  return { ...status, code: once.code, said: once.stdout + once.stderr };
}

const runs = async (target: Target) => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout;
const rootsOf = async (name: string) =>
  (await readdir(join(folder, name, 'state/roots')).catch(() => [])).filter((n) => n.startsWith('part-'));

for (const order of [
  [1, 2, 3],
  [1, 3, 2],
  [2, 1, 3],
  [2, 3, 1],
  [3, 1, 2],
  [3, 2, 1],
])
  test(`three parts in the order ${order.join(', ')}: what can be imported is, and the machine says what to bring`, async () => {
    const name = `order-${order.join('')}`;
    const target = await machine(name);
    const needed = new Set([1, 2, 3]);
    let [before, next] = [0, order[0] as number];
    // Whoever follows the machine’s word brings no disc more than twice.
    for (const part of [...order, 1, 2, 3].slice(0, 3)) {
      const seen = await insert(name, target, join(fresh, `part-${part}`));
      next = part;
      if (seen.parts === undefined) break;
      assert.equal(seen.last.code, 'parts-missing', seen.said);
      assert.match(
        seen.last.detail ?? '',
        new RegExp(`^part ${part} (has come|cannot be used yet); still needed of 3: `),
      );
      assert.ok(seen.parts.here >= before);
      before = seen.parts.here;
      needed.clear();
      for (const each of seen.parts.needed) needed.add(each);
      // Everything here is held. Once: it takes its time.
      if (order[0] === 3) await target.run(['nix-collect-garbage']);
    }
    for (let i = 0; i < 3 && needed.size > 0; i++) {
      const [first] = [...needed];
      const seen = await insert(name, target, join(fresh, `part-${first}`));
      needed.clear();
      for (const each of seen.parts?.needed ?? []) needed.add(each);
      assert.ok(!needed.has(first as number), `part ${first} after ${next} was to be of use`);
    }
    assert.match(await runs(target), /^new /);
    assert.deepEqual(await rootsOf(name), [], 'the profile holds it now');
  });

test('a part of an older release is named as such, and costs nothing of what has come', async () => {
  const target = await machine('stale');
  const first = await insert('stale', target, join(fresh, 'part-1'));
  const seen = await insert('stale', target, join(stale, 'part-2'));
  assert.equal(seen.last.code, 'part-older', seen.said);
  assert.equal(seen.last.detail, 'it is part 2 of sequence 11; parts of 21 are being collected here');
  assert.deepEqual(seen.parts, first.parts);
  assert.ok((await rootsOf('stale')).length > 0);
  const text = await target.verb('status', []);
  assert.match(
    text.stdout,
    /Parts: +sequence 21 comes on 3 media; \d+ of \d+ paths are here; still needed\s+of 3: parts 2 and 3; bring part 2 next/,
  );
  // The newer set is given up for one that is newer still.
  const newest = await insert('stale', target, join(await discs('newest', 30), 'part-1'));
  assert.equal(newest.last.code, 'parts-missing', newest.said);
  for (const part of [2, 3]) await insert('stale', target, join(folder, `newest/part-${part}`));
  assert.match(await runs(target), /^newest /);
});

test('three sticks at once are taken in whatever order they are found', async () => {
  const names = ['one', 'two', 'three'].map((each) => drive(`at-once-${each}`));
  for (const [i, path] of names.entries()) await cp(join(fresh, `part-${3 - i}`), path, { recursive: true });
  const policy = { media: { folders: names } };
  const trustedKeys = [shop.keys.publicKey];
  const target = await makeTarget(join(folder, 'at-once'), { host: 'web', trustedKeys, policy });
  after(() => target.close());
  await target.verb('agent', ['--once']);
  assert.match(await runs(target), /^new /);
});

test('what has come and is of no use yet is told in the receipt, and a lost part that is made again fits', async () => {
  const target = await machine('told');
  const seen = await insert('told', target, join(fresh, 'part-3'));
  assert.match(
    seen.last.detail ?? '',
    /^part 3 cannot be used yet; still needed of 3: parts 1, 2 and 3; bring part 1 next$/,
  );
  const receipts = join(drive('told'), 'nixmaker/receipts/web');
  const text = await readFile(join(receipts, '0.txt'), 'utf8');
  assert.match(text, /sequence 21: waiting \(parts-missing\): part 3 cannot be used yet/);
  // Only some paths are in the second set’s parts, and they are split elsewhere: the release is the same.
  const again = join(folder, 'again');
  await mkdir(again);
  const bundle = join(folder, 'out/new/web/web.tar');
  const put = await shop.builder.nixmaker(['put', again, bundle, '--size', '1.2M']);
  assert.equal(put.code, 0, put.stderr);
  await insert('told', target, join(fresh, 'part-1'));
  await insert('told', target, join(again, 'part-2'));
  const last = await insert('told', target, join(again, 'part-1'));
  if (last.parts !== undefined) await insert('told', target, join(again, 'part-2'));
  assert.match(await runs(target), /^new /);
});
