/** What no bundle can be made of is told before anything is compressed. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { refuseFloating, refuseTooLarge } from '../../src/desk/build/refuse-early.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { digits, storePathOf } from '../support/releases.ts';

const info = (number: number, references: readonly number[] = [], narSize = 100): PathInfo => ({
  path: storePathOf(number),
  narHash: `sha256:${digits(number, 52)}`,
  narSize,
  references: references.map((r) => storePathOf(r)),
});

test('a closure with too many paths, or references, is refused with both numbers', () => {
  const many = Array.from({ length: limits.lines + 1 }, (_, i) => info(i));
  const root = limits.lines + 1;
  const all = info(
    root,
    many.map((_, i) => i),
  );
  assert.throws(
    () => refuseTooLarge([...many, all], storePathOf(root)),
    /bundle-too-large: .*200002 paths; the limit is 200000/,
  );
  const paths = Array.from({ length: 2900 }, (_, i) => storePathOf(i));
  const few = paths.map((_, i) => ({ ...info(i), references: paths.slice(0, i) }));
  assert.throws(
    () => refuseTooLarge(few, storePathOf(2899)),
    /bundle-too-large: .*references; the limit is 4000000/,
  );
});

test('NARs of more bytes than can be counted are refused, and what fits is not', () => {
  const size = 2 ** 52;
  assert.throws(
    () => refuseTooLarge([info(0, [], size), info(1, [], size), info(2, [0, 1], size)], storePathOf(2)),
    /bundle-too-large/,
  );
  refuseTooLarge([info(0), info(1, [0])], storePathOf(1));
});

test('recipes that do not say which paths they give are refused', async (t) => {
  const folder = await temporaryFolder(t);
  const rest = '[],[],"x86_64-linux","/bin/sh",[],[])';
  const known = '("out","/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x","","")';
  const refused = async (text: string) => {
    const path = join(folder, 'x.drv') as StorePath;
    await writeFile(path, text);
    return refuseFloating([{ ...info(0), path }]).then(
      () => false,
      (error: Error) => {
        assert.match(error.message, /^evaluation-failed: \S+x\.drv does not say which paths it produces/);
        return true;
      },
    );
  };
  assert.equal(await refused(`Derive([${known}],${rest}`), false);
  assert.equal(await refused(`Derive([${known},${known.replace('"out"', '"man"')}],${rest}`), false);
  const fixed = '("out","/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-x","r:sha256","00ff")';
  assert.equal(await refused(`Derive([${fixed}],${rest}`), false);
  assert.equal(await refused(`Derive([("out","","r:sha256","")],${rest}`), true, 'floating');
  assert.equal(await refused(`Derive([("out","","r:sha256","impure")],${rest}`), true, 'impure');
  assert.equal(await refused(`Derive([${known},("man","","","")],${rest}`), true, 'deferred');
  assert.equal(await refused(`DrvWithVersion("xp-dyn-drv",[${known}],${rest}`), true, 'dynamic');
});
