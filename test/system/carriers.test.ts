/** Pools carried by rsync and rclone, cut off in the middle, and the receipts that the same carrier takes back. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { nixSystem, run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const carriers = process.env.NIXMAKER_CARRIERS;
if (carriers === undefined)
  throw new Error('NIXMAKER_CARRIERS is not set: run this test with scripts/test, on Debian');

const shop = await makeWorkshop();
const desk = join(shop.folder, 'desk');
const carried = join(shop.folder, 'carried');
await mkdir(desk);
await mkdir(carried);
const target = await makeTarget(join(shop.folder, 'web'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: { media: { folders: [carried] } },
});
after(() => target.close());

const blob = (name: string) =>
  `\${derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c 3000000 /dev/urandom >$out" ]; }}`;
let sequence = 0;

/** The next release, in the pool at the desk. */
async function release(name: string): Promise<void> {
  sequence += 10;
  const bundle = await shop.bundle(name, {
    hosts: { web: plainHost('web', `${name} ${blob(name)}`) },
    args: ['--sequence', String(sequence - 1)],
  });
  const put = await shop.builder.nixmaker(['put', desk, bundle]);
  assert.equal(put.code, 0, put.stderr);
}

const runs = async () => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.trim();
const once_ = async (code: number) => {
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, code, ran.stderr);
};

/** Bytes of NARs that have come, under whatever name. */
async function arrived(): Promise<number> {
  const folder = join(carried, 'nixmaker/cache/nar');
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((n) =>
      stat(join(folder, n)).then(
        (s) => (s.isFile() ? s.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((a, b) => a + b, 0);
}

/** Starts the carrier and kills it once half a megabyte more has come. */
async function cutMidway(program: string, args: readonly string[]): Promise<void> {
  const before = await arrived();
  const child = spawn(join(carriers ?? '', program), args, { stdio: 'ignore' });
  const ended = once(child, 'exit');
  while ((await arrived()) < before + 500_000) {
    assert.equal(child.exitCode, null, 'the carrier was done before it could be cut off');
    await sleep(10);
  }
  child.kill('SIGKILL');
  await ended;
}

const ways = {
  rsync: { program: 'rsync', args: ['--archive', `${desk}/`, `${carried}/`], slow: ['--bwlimit=400'] },
  'rsync in place': {
    program: 'rsync',
    args: ['--archive', '--inplace', `${desk}/`, `${carried}/`],
    slow: ['--bwlimit=400'],
  },
  // Straight under their own names, and the small manifests first: the worst a carrier can do.
  rclone: {
    program: 'rclone',
    args: ['copy', '--config', '/dev/null', '--order-by', 'size,ascending', desk, carried],
    slow: ['--bwlimit', '400k'],
  },
};

let stands = '';
for (const [way, { program, args, slow }] of Object.entries(ways)) {
  test(`${way}: cut off midway nothing is taken; carried on it is`, async () => {
    const name = way.replaceAll(' ', '-');
    await release(name);
    await cutMidway(program, [...args, ...slow]);
    // Where the manifest came first, what is incomplete is known to be for this machine.
    await once_(way === 'rclone' ? 75 : 0);
    assert.equal((await runs()).split(' ')[0], stands);
    const carriedOn = await run(join(carriers, program), args);
    assert.equal(carriedOn.code, 0, carriedOn.stderr);
    await once_(0);
    assert.equal((await runs()).split(' ')[0], name);
    stands = name;
  });
}

test('the receipts go back the same way', async () => {
  const back = join(shop.folder, 'back');
  const args = ['copy', '--config', '/dev/null', '--include', '/nixmaker/receipts/**', carried, back];
  const carriedBack = await run(join(carriers, 'rclone'), args);
  assert.equal(carriedBack.code, 0, carriedBack.stderr);
  const fleet = join(shop.folder, 'fleet');
  const collected = await shop.builder.nixmaker(['collect', back, '-d', fleet, '--enrol']);
  assert.equal(collected.code, 0, collected.stderr);
  for (const each of [10, 20, 30])
    assert.match(collected.stdout, new RegExp(`^web +${each} +done +new`, 'm'));
});
