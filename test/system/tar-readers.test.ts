/** Bundles in other people’s hands: GNU tar, bsdtar, Python, 7-zip, BusyBox; also where members are larger than ustar’s digits can say. */
import assert from 'node:assert/strict';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Namespace } from '../machines/namespace.ts';
import { type Ran, run } from '../machines/program.ts';
import { openTestBundle } from '../support/bundles.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { releaseOf } from '../support/released.ts';
import { writeSparseBundle } from '../support/sparse-bundle.ts';

const carriers = process.env.NIXMAKER_CARRIERS;
assert.ok(carriers !== undefined, 'scripts/test sets it up');
const shop = await makeWorkshop();
const genuine = await shop.bundle('read-by-others', { hosts: { web: plainHost('web', 'read by others') } });
const gibibyte = 1024 ** 3;
const sizes = [8 * gibibyte - 1, 8 * gibibyte, 8 * gibibyte + 1, 7 * gibibyte];
const large = join(shop.folder, 'large.tar');
await writeSparseBundle(large, sizes);

const python = `
import sys, tarfile
with tarfile.open(sys.argv[1], "r:") as bundle:
    for member in bundle:
        assert member.isreg()
        print(member.size, member.name)
`;
/** Each prints a line for each member, with its size in bytes and its name. */
const readers: Readonly<Record<string, readonly string[]>> = {
  'GNU tar': ['tar', '--list', '--verbose', '--numeric-owner', '--file'],
  bsdtar: [join(carriers, 'bsdtar'), '-tvf'],
  Python: [join(carriers, 'python3'), '-c', python],
  '7-zip': [join(carriers, '7za'), 'l', '-ttar', '-ba'],
  BusyBox: [join(carriers, 'busybox'), 'tar', '-tvf'],
};

/** Debian’s Python beside the host looks for its library where the host’s would be. */
const env = { PYTHONHOME: join(carriers, '../root/usr') };

const must = (ran: Ran): string => {
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  return ran.stdout;
};

describe('other people’s readers', () => {
  for (const [name, [program = '', ...args]] of Object.entries(readers)) {
    test(`${name} lists a bundle as it is`, async () => {
      const listed = must(await run(program, [...args, genuine], { env }));
      for (const member of [
        'manifest.json',
        'manifest.sig',
        'index',
        'nix.sig',
        'contents',
        'meta',
        'nix-cache-info',
      ])
        assert.match(listed, new RegExp(`(?:^|\\s)${member.replace('.', '\\.')}$`, 'm'), member);
      const { pieces } = await releaseOf(genuine);
      for (const piece of [...pieces.values()].flat())
        assert.match(listed, new RegExp(`\\b${piece.size}\\b.*nar/../${piece.digest}\\.nar\\.zst$`, 'm'));
    });

    test(`${name} reads sizes of eight gibibytes and more`, async () => {
      const listed = must(await run(program, [...args, large], { env }));
      for (const size of sizes) assert.match(listed, new RegExp(`\\b${size}\\b.*nar/`), `${size}\n${listed}`);
    });
  }
});

test('nixmaker itself finds everything in thirty gibibytes, in little memory', async () => {
  assert.ok((await stat(large)).size > 31 * gibibyte);
  const before = process.memoryUsage().rss;
  const bundle = await openTestBundle(large);
  const positions = [...bundle.positions.values()].sort((a, b) => a - b);
  assert.equal(positions.length, sizes.length + 1);
  assert.ok((positions.at(-1) ?? 0) > 31 * gibibyte);
  await bundle.file.close();
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 ** 2);
});

test('unpacked with tar it is a binary cache for stock Nix', async () => {
  const folder = join(shop.folder, 'unpacked');
  const root = join(shop.folder, 'elsewhere');
  await mkdir(folder);
  await mkdir(root);
  must(await run('tar', ['--extract', '--file', genuine, '--directory', folder]));
  const elsewhere = await Namespace.open(root);
  after(() => elsewhere.close());
  const toplevel = (await readFile(join(folder, 'meta'), 'utf8')).trim().split('\n')[1] ?? '';
  const env = {
    NIX_CONFIG: `experimental-features = nix-command\nbuild-users-group =\ntrusted-public-keys = ${shop.keys.publicKey}`,
  };
  must(await elsewhere.run(['nix', 'copy', '--from', `file://${folder}`, toplevel], { env }));
  assert.match(must(await elsewhere.run(['cat', `${toplevel}/etc/motd`])), /read by others/);
});
