import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const stranger = await makeKeys(shop.folder, 'stranger-1');
const target: Target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  settings: { inboxPatience: 1 },
  policy: { retention: { refused: 100 } },
});
after(() => target.close());
const good = await shop.bundle('good');

/** Flips a bit some bytes into the last NAR (RFC 8878: a zstd frame begins with this magic number). */
const flipInNar = async (path: string) => {
  const bytes = await readFile(path);
  const at = bytes.lastIndexOf(Buffer.from('28b52ffd', 'hex')) + 30;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
};
/** A bundle by somebody with the trusted key’s name, but not the key. */
const impostor = async (path: string) => {
  await makeKeys(join(shop.folder, 'impostor'), 'fleet-1');
  await copyFile(await shop.bundle('impostor', { args: ['--unsigned'] }), path);
  const signed = await shop.builder.nixmaker([
    'sign',
    '--key',
    join(shop.folder, 'impostor', 'fleet-1.secret'),
    path,
  ]);
  assert.equal(signed.code, 0, signed.stderr);
};
const strangers = async (path: string) => {
  await copyFile(await shop.bundle('strangers', { args: ['--unsigned'] }), path);
  const signed = await shop.builder.nixmaker(['sign', '--key', stranger.secretFile, path]);
  assert.equal(signed.code, 0, signed.stderr);
};
const replaceBy = (name: string, options: Parameters<typeof shop.bundle>[1]) => async (path: string) =>
  copyFile(await shop.bundle(name, options), path);

/** Bytes of the manifest’s text that are surely inside it. */
const inManifest = async (path: string) => {
  const bytes = await readFile(path);
  bytes[bytes.indexOf('"sequence":') + 11] = 0x39;
  await writeFile(path, bytes);
};

const cases: readonly (readonly [string, string, number, (path: string) => Promise<unknown>])[] = [
  ['an unsigned bundle', 'signature-missing', 65, replaceBy('unsigned', { args: ['--unsigned'] })],
  ['a bundle signed by a stranger', 'signature-unknown-key', 65, strangers],
  ['a bundle signed by an impostor', 'signature-invalid', 65, impostor],
  ['a bundle whose manifest was changed', 'signature-invalid', 65, inManifest],
  ['a bundle with a flipped bit in its last NAR', 'bundle-altered', 65, flipInNar],
  ['a truncated bundle', 'bundle-truncated', 65, async (p) => truncate(p, (await readFile(p)).length - 1024)],
  [
    'a bundle with bytes after its end',
    'bundle-trailing-data',
    65,
    async (p) => truncate(p, (await readFile(p)).length + 512),
  ],
  [
    'a bundle of another host',
    'wrong-host',
    77,
    replaceBy('mail', { host: 'mail', hosts: { mail: plainHost('mail') } }),
  ],
  [
    'a bundle for another processor',
    'wrong-system',
    77,
    replaceBy('arm', {
      args: ['--content', 'derivation'],
      hosts: { web: 'mkSystem { hostName = "web"; motd = "x"; system = "riscv64-linux"; }' },
    }),
  ],
  ['an expired bundle', 'expired', 77, replaceBy('expired', { args: ['--expires', '2020-01-01T00:00:00Z'] })],
  [
    'a file that is no bundle',
    'not-a-bundle',
    65,
    (p) => writeFile(p, 'this is a tarball of another kind'.repeat(100)),
  ],
];

const made = new Map<string, Promise<string>>();
const fileOf = (what: string, make: (path: string) => Promise<unknown>) => {
  const path = join(shop.folder, `${what.replaceAll(' ', '-')}.tar`);
  const making =
    made.get(what) ??
    copyFile(good, path)
      .then(() => make(path))
      .then(() => path);
  made.set(what, making);
  return making;
};

for (const [what, code, exit, make] of cases) {
  test(`${what} is refused on the command line as ${code}, and nothing enters the store`, async () => {
    const before = await target.validPaths();
    const path = await fileOf(what, make);
    const ran = await target.verb('switch', ['--tarball', path, '--json']);
    const receipt = JSON.parse(ran.stdout) as { state: string; code: string };
    assert.deepEqual(
      [receipt.state, receipt.code, ran.code],
      ['refused', code, exit],
      ran.stdout + ran.stderr,
    );
    assert.deepEqual(await target.validPaths(), before);
    assert.equal(await target.profile(), undefined);
    assert.equal(await target.currentSystem(), undefined);
  });
}

test('the agent refuses all of them with their codes, keeps nothing of them, and then takes a good one', async () => {
  const before = await target.validPaths();
  const agent = await target.startAgent();
  for (const [what, , , make] of cases) {
    const path = await fileOf(what, make);
    await copyFile(path, join(target.inbox, basename(path)));
  }
  for (const [what, code, , make] of cases) {
    const name = basename(await fileOf(what, make));
    const line = await agent.waitFor((l) => l.event === 'settled' && basename(String(l.bundle)) === name);
    const report = await readFile(String(line.report), 'utf8');
    assert.match(report, new RegExp(`^REFUSED\n.*Code: +${code}\n`, 's'));
    assert.match(report, /Safe: +The running system was not changed\./);
    assert.match(String(line.bundle), /\/inbox\/refused\//);
  }
  assert.deepEqual(await target.validPaths(), before);
  await copyFile(good, join(target.inbox, 'good.tar'));
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
  assert.match((await target.currentSystem()) ?? '', /nixos-system-web/);
});

test('an older bundle, and the same sequence with other contents, are refused after a newer one', async () => {
  const bring = async (name: string, sequence: string) => {
    const path = await shop.bundle(name, {
      hosts: { web: plainHost('web', name) },
      args: ['--sequence', sequence],
    });
    return JSON.parse((await target.verb('switch', ['--tarball', path, '--json'])).stdout) as {
      state: string;
      code?: string;
    };
  };
  assert.equal((await bring('newer', '10')).state, 'committed');
  assert.equal((await bring('older', '4')).code, 'sequence-older');
  assert.equal((await bring('rival', '10')).code, 'sequence-conflict');
});

for (const [what, spoil, code] of [
  ['missing', (p: string) => rm(p), 'policy-missing'],
  ['malformed', (p: string) => writeFile(p, '{ "schema": 1, '), 'policy-malformed'],
  [
    'holding a key that is none',
    (p: string) =>
      writeFile(
        p,
        JSON.stringify({ schema: 1, host: 'web', operation: 'switch', trustedKeys: ['nonsense'] }),
      ),
    'key-malformed',
  ],
] as const) {
  test(`with its policy ${what} nothing is processed, and the exit code is 78`, async () => {
    const policy = await readFile(target.policyFile);
    await copyFile(good, join(target.inbox, 'waiting.tar'));
    await spoil(target.policyFile);
    for (const args of [
      ['agent', '--once'],
      ['switch', '--tarball', good],
    ] as const) {
      const [verb, ...rest] = args;
      const ran = await target.verb(verb, rest);
      assert.equal(ran.code, 78, ran.stderr);
      assert.ok(ran.stderr.includes(`(${code})`), ran.stderr);
    }
    assert.ok((await readdir(target.inbox)).includes('waiting.tar'));
    await writeFile(target.policyFile, policy);
    await rm(join(target.inbox, 'waiting.tar'));
  });
}
