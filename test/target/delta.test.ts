/** Bundles that carry only what changed, on real targets: paths left out, paths as differences to what is there. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Builder, makeBuilder } from '../machines/builder.ts';
import { nixSystem } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, writeFlake } from '../support/fleet.ts';
import { releaseOf } from '../support/released.ts';

const shop = await makeWorkshop();
const other = await makeBuilder(join(shop.folder, 'other-builder'));
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(policy: Record<string, unknown> = {}): Promise<Target> {
  const options = { host: 'web', trustedKeys: [shop.keys.publicKey], policy };
  const target = await makeTarget(join(shop.folder, `target-${targets.length}`), options);
  targets.push(target);
  return target;
}

/** Random bytes, so that two builders have the same path with other contents, as of builds that are not reproducible. */
const body = (kilobytes: number) =>
  `(derivation { name = "body-${kilobytes}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c ${kilobytes * 1024} /dev/urandom >$out" ]; })`;

/**
 * A path whose bytes are much the same in each release, but for the release’s own name in many places: as after a mass
 * rebuild, where little but hashes changes.
 */
const library = (name: string, version: string, kilobytes: number) => {
  const script = `
    mkdir -p $out/lib $out/bin
    split -b 65536 $body part-
    for part in part-*; do cat $part >>$out/lib/${name}.so; echo "linked against ${version}" >>$out/lib/${name}.so; done
    head -c 100000 $body >$out/bin/tool; chmod +x $out/bin/tool; ln -s ../lib/${name}.so $out/bin/link-${version}`;
  return `\${derivation { name = "${name}-${version}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; body = ${body(kilobytes)}; args = [ "-euc" ${JSON.stringify(script).replaceAll('$', '\\$')} ]; }}`;
};

const host = (version: string) =>
  `mkSystem { hostName = "web"; motd = "${version} ${[1, 2, 3, 4].map((i) => library(`small-${i}`, version, 300)).join(' ')} ${library('large', version, 3000)}"; }`;

async function build(
  builder: Builder,
  version: string,
  sequence: number,
  ...more: readonly string[]
): Promise<string> {
  const hosts = { web: host(version) };
  const flake = await writeFlake(join(shop.folder, 'flakes', version), { hosts });
  const out = join(shop.folder, 'out', `${version}-${more.length}-${builder === other ? 'other' : 'own'}`);
  const args = ['--flake', `path:${flake}`, '--dir', out, '--key', shop.keys.secretFile];
  const ran = await builder.nixmaker(['build', ...args, '--sequence', String(sequence - 1), ...more]);
  assert.equal(ran.code, 0, ran.stderr);
  return join(out, 'web/web.tar');
}

async function take(target: Target, path: string) {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  return JSON.parse(ran.stdout) as { state: string; code?: string; detail?: string };
}

const first = await build(shop.builder, '1.0', 10);
const whole = await build(shop.builder, '2.0', 20);
const delta = await build(shop.builder, '2.0', 20, '--since', first);

test('a release in which all is rebuilt and little changed takes a few hundredths of the whole', async () => {
  const [carried, all] = [await releaseOf(delta), await releaseOf(whole)];
  const sizes = [(await stat(delta)).size, (await stat(whole)).size] as const;
  assert.ok(sizes[0] < sizes[1] * 0.05, `${sizes[0]} of ${sizes[1]}`);
  const pieces = [...carried.pieces.values()].flat();
  assert.ok(pieces.filter((p) => p.kind === 'delta').length >= 5);
  assert.deepEqual(carried.manifest, all.manifest, 'one release, however it travels');
  assert.ok(pieces.length < carried.index.length, 'what the target has is not even named twice');
});

test('the target restores it from its own store, and has what the builder has', async () => {
  const target = await freshTarget();
  assert.equal((await take(target, first)).state, 'committed');
  const taken = await take(target, delta);
  assert.equal(taken.state, 'committed', `${taken.code}: ${taken.detail}`);
  const toplevel = (await readFile(join(whole, '../meta'), 'utf8')).split('\n')[1] ?? '';
  const verified = await target.run(['nix', 'store', 'verify', '--recursive', '--no-trust', toplevel]);
  assert.equal(verified.code, 0, verified.stderr);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^2\.0/);
});

test('who lacks the base, or has it from another builder, is told so, and nothing is changed', async () => {
  const fresh = await freshTarget();
  const missing = await take(fresh, delta);
  assert.deepEqual([missing.state, missing.code], ['refused', 'base-missing']);
  const elsewhere = await freshTarget();
  assert.equal((await take(elsewhere, await build(other, '1.0', 10))).state, 'committed');
  const before = await elsewhere.validPaths();
  const differs = await take(elsewhere, delta);
  assert.deepEqual([differs.state, differs.code], ['refused', 'base-missing']);
  assert.match(differs.detail ?? '', /built elsewhere/);
  assert.deepEqual(await elsewhere.validPaths(), before);
});

test('a base that has rotted on the target’s disk restores nothing wrong', async () => {
  const target = await freshTarget();
  assert.equal((await take(target, first)).state, 'committed');
  const path = (await target.validPaths()).find((p) => p.endsWith('-small-1-1.0')) ?? '';
  const rotted = await target.run([
    'sh',
    '-euc',
    `chmod u+w ${path}/lib/*; printf X | dd of=${path}/lib/small-1.so bs=1 seek=5000 conv=notrunc`,
  ]);
  assert.equal(rotted.code, 0, rotted.stderr);
  const taken = await take(target, delta);
  assert.deepEqual([taken.state, taken.code], ['refused', 'base-missing'], taken.detail);
  assert.match(taken.detail ?? '', /its contents are not what the bundle builds on/);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^1\.0/);
  assert.equal((await take(target, whole)).state, 'committed', 'a whole bundle still helps');
});

test('on a medium deltas lie in the pool, and are cleared away with their manifest', async () => {
  const medium = join(shop.folder, 'medium');
  await mkdir(medium);
  const target = await freshTarget({ media: { folders: [medium] } });
  assert.equal((await take(target, first)).state, 'committed');
  const put = await shop.builder.nixmaker(['put', medium, delta]);
  assert.equal(put.code, 0, put.stderr);
  const deltas = join(medium, 'nixmaker/cache/delta');
  const names = async () => (await readdir(deltas, { recursive: true })).filter((n) => n.endsWith('.zst'));
  assert.ok((await names()).length >= 5);
  const once = await target.verb('agent', ['--once']);
  assert.equal(once.code, 0, once.stdout + once.stderr);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^2\.0/);
  const next = await shop.builder.nixmaker(['put', medium, await build(shop.builder, '3.0', 30)]);
  assert.equal(next.code, 0, next.stderr);
  assert.deepEqual(await names(), []);
});

test('without deltas changed paths are carried whole, and what the target has is still left out', async () => {
  const plain = await build(shop.builder, '2.0', 20, '--since', first, '--no-deltas');
  const pieces = [...(await releaseOf(plain)).pieces.values()].flat();
  assert.ok(pieces.length > 0 && pieces.every((p) => p.kind === 'whole'));
  const target = await freshTarget();
  assert.equal((await take(target, first)).state, 'committed');
  assert.equal((await take(target, plain)).state, 'committed');
});

const bringAndLose = `
  mkdir "$2/cache"; tar -xf "$1" -C "$2/cache"
  nix copy --from "file://$2/cache" --to daemon "$(tail -n1 "$2/cache/meta")"
  lost=$(echo /nix/store/*-"$3"); chmod -R u+w "$lost"; rm -r "$lost"
  nix-store --store daemon --check-validity "$lost"`;

test('one bundle for any of two releases: a machine with either takes it, and one with neither is told', async () => {
  const both = await build(shop.builder, '3.0', 30, '--since', first, '--since', whole);
  assert.ok((await stat(both)).size < (await stat(whole)).size * 0.1);
  for (const [has, other, version] of [
    [first, whole, '2.0'],
    [whole, first, '1.0'],
  ] as const) {
    const target = await freshTarget();
    assert.equal((await take(target, has)).state, 'committed');
    // The other’s bases are valid, and one has no files, as a power cut leaves what was being deleted.
    const cut = await target.run([
      'sh',
      '-euc',
      bringAndLose,
      'sh',
      other,
      target.root,
      `small-1-${version}`,
    ]);
    assert.equal(cut.code, 0, cut.stderr);
    const taken = await take(target, both);
    assert.equal(taken.state, 'committed', taken.detail);
  }
  const { state, code } = await take(await freshTarget(), both);
  assert.deepEqual([state, code], ['refused', 'base-missing']);
});
