/**
 * Every number that a bundle states, at the places where numbers break (a 32-bit integer, signed and not, a ustar size, a double),
 * signed by the key that the target trusts. Whatever it says, the agent refuses it, is the same process afterwards, has taken no
 * memory for it, and takes the next good bundle.
 */
import assert from 'node:assert/strict';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import type { ManifestInput } from '../../src/core/release/manifest.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { inSample } from '../support/cases.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { assemble, bytesOf, type Kit, ofManifest, readKey, sha256, takeApart } from '../support/forge.ts';
import { base256, type Line, linesOf, rebuilt, rows, waysOf } from '../support/forge-release.ts';

const numbers = [2 ** 31 - 1, 2 ** 31, 2 ** 32, 8 * 2 ** 30, Number.MAX_SAFE_INTEGER];

const shop = await makeWorkshop();
const stranger = await makeKeys(shop.folder, 'stranger-1');
const release = (name: string, sequence: number) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
  });
const first = await release('first', 10);
const goodBundle = await release('good', 20);
const good = await takeApart(goodBundle);
/** Never taken as it is: of one that has been taken before, no more is read than says so. */
const later = await takeApart(await release('later', 30));
const trusted = await readKey(shop.keys.secretFile);
const other = await readKey(stranger.secretFile);
const kit: Kit = {
  running: await takeApart(first),
  good,
  old: good,
  twin: good,
  other: good,
  noSystem: good,
  trusted,
  stranger: other,
  impostor: other,
};

/** With a manifest that nobody would write, and that the trusted key has signed all the same. */
function signed(manifest: Record<string, unknown>, lines?: readonly Line[]): Buffer {
  const index = lines === undefined ? bytesOf(good, 'index') : Buffer.from(rows(lines));
  const body = { ...good.manifest, index: { size: index.length, sha256: sha256(index) }, ...manifest };
  const manifestBytes = Buffer.from(`${JSON.stringify(body)}\n`);
  const members = ofManifest(good, manifestBytes).map((part) =>
    part.name === 'index' ? { ...part, bytes: index } : part,
  );
  return assemble({
    manifestBytes,
    signatureBytes: Buffer.from(signManifest(manifestBytes, trusted)),
    members,
  });
}

const totals = (field: keyof ManifestInput['totals'], value: number) =>
  signed({ totals: { ...good.manifest.totals, [field]: value } });

/** One line of the index with another number, and totals that agree. */
function inLine(column: 2 | 3 | 4, value: number): Buffer {
  const lines = linesOf(good).map((line, n) => (n === 1 ? (line.with(column, value) as Line) : line));
  const sum = (c: 2 | 3 | 4) => lines.reduce((all, line) => all + line[c], 0);
  const largestNar = Math.max(...lines.map((line) => line[2]));
  return signed(
    { totals: { paths: lines.length, files: sum(3), blocks: sum(4), narBytes: sum(2), largestNar } },
    lines,
  );
}

const inReferences = (value: number) =>
  signed(
    {},
    linesOf(good).map((line, n) => (n === 1 ? (line.with(5, [value]) as Line) : line)),
  );

function inContents(column: 0 | 2, value: number): Buffer {
  const ways = waysOf(good).map((way, n) => (n === 1 ? way.with(column, value) : way));
  return rebuilt(kit, { contents: rows([sha256(good.manifestBytes), ...ways]) });
}

const sizeField = (value: number) => {
  const octal = Buffer.from(`${value.toString(8).padStart(11, '0')}\0`);
  return octal.length === 12 ? octal : base256(value);
};

/** A member’s header that states another size than the member has. */
function inHeader(name: string, value: number): Buffer {
  const whole = Buffer.from(later.whole);
  for (let at = 0; at < whole.length; at += 512) {
    if (whole.toString('latin1', at, at + name.length + 1) !== `${name}\0`) continue;
    const block = whole.subarray(at, at + 512);
    sizeField(value).copy(block, 124);
    block.fill(0x20, 148, 156);
    const sum = block.reduce((a, b) => a + b, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}`, 148, 'latin1');
    later.whole.copy(block, 154, at + 154, at + 156);
    return whole;
  }
  throw new Error(`there is no ${name}`);
}

const narinfo = later.members.find((m) => m.name.endsWith('.narinfo'))?.name ?? '';
const piece = later.members.at(-1)?.name ?? '';

const places: Readonly<Record<string, (value: number) => Buffer>> = {
  schema: (value) => signed({ schema: value }),
  sequence: (value) => signed({ sequence: value }),
  downgradeFrom: (value) => {
    const { content, derivation, toplevel, totals, index, notes, flake, ...head } = good.manifest;
    return signed({ ...head, downgradeFrom: value, content, derivation, toplevel, totals, index });
  },
  'totals.paths': (value) => totals('paths', value),
  'totals.files': (value) => totals('files', value),
  'totals.blocks': (value) => totals('blocks', value),
  'totals.narBytes': (value) => totals('narBytes', value),
  'totals.largestNar': (value) => totals('largestNar', value),
  'index.size': (value) => signed({ index: { ...good.manifest.index, size: value } }),
  'tarball.size': (value) => signed({ tarball: { size: value, sha256: '0'.repeat(64) } }),
  narSize: (value) => inLine(2, value),
  files: (value) => inLine(3, value),
  blocks: (value) => inLine(4, value),
  references: inReferences,
  'line of contents': (value) => inContents(0, value),
  'size in contents': (value) => inContents(2, value),
  ...Object.fromEntries(
    [
      'manifest.json',
      'manifest.sig',
      'index',
      'nix.sig',
      'contents',
      'meta',
      'nix-cache-info',
      narinfo,
      piece,
    ].map((name) => [`header of ${name}`, (value: number) => inHeader(name, value)]),
  ),
};

const target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  policy: { limits: { sequenceJump: 1000 } },
  settings: { inboxPatience: 0.2 },
});
after(() => target.close());
const agent = await target.startAgent();
await copyFile(first, join(target.inbox, 'first.tar'));
await agent.waitFor((l) => l.event === 'settled');
/** Bytes of the agent’s at most. */
const mostMemory = 300 * 1024 ** 2;

for (const [row, [place, make]] of Object.entries(places).entries())
  test(`${place}: whatever number is signed there, it is refused, and the next good bundle taken`, async () => {
    const paths = await target.validPaths();
    const system = await target.currentSystem();
    for (const [column, value] of numbers.entries()) {
      if (!inSample(row, column, numbers.length)) continue;
      const name = `${row}-${column}.tar`;
      await writeFile(join(shop.folder, name), make(value));
      await copyFile(join(shop.folder, name), join(target.inbox, name));
      // What is signed may ask for more room than any disk has: then it waits for room, as it must.
      const end = await agent.waitFor(
        (l) =>
          basename(String(l.source)) === name &&
          (l.event === 'refused' ||
            l.event === 'failed' ||
            (l.event === 'deferred' && l.code === 'no-space')),
      );
      assert.notEqual(end.code, 'internal', String(end.detail));
      assert.notEqual(end.code, 'io-error', String(end.detail));
      await rm(join(target.inbox, name), { force: true });
    }
    assert.deepEqual(await target.validPaths(), paths);
    assert.equal(await target.currentSystem(), system);
    const next = `good-${row}.tar`;
    await copyFile(goodBundle, join(target.inbox, next));
    await agent.waitFor((l) => l.event === 'settled' && basename(String(l.bundle)) === next);
    assert.ok(agent.log().some((l) => l.event === 'committed' && String(l.source).endsWith(next)));
    const status = await readFile(`/proc/${agent.child.pid}/status`, 'utf8');
    const peak = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
    assert.ok(peak < mostMemory, `the agent has had ${peak} bytes`);
  });
