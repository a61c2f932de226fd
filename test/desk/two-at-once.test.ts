/** Two desks’ work on one place at one time: each waits for the other, and what is there at the end is whole. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { hostsOf, listPool, lockOf, measurePool, readPoolRelease } from '../../src/bundle/pool.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { inFleetTurn } from '../../src/desk/fleet/folder.ts';
import { inspectKeyringFile, makeKeyringFile, signKeyringFile } from '../../src/desk/keys/keyring.ts';
import { readAnyHead, readRelease, withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { signBundleFile } from '../../src/desk/keys/sign.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import type { PutOptions } from '../../src/desk/pool/put-options.ts';
import { inTurn, turnIn } from '../../src/files/turn.ts';
import { holdProgram, runProgram } from '../../src/process/run.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { parseSignatureFile } from '../../src/signing/signature-file.ts';
import { signerWith } from '../../src/signing/signer.ts';
import { main } from '../machines/compiled.ts';
import { nixSystem, run } from '../machines/program.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';
import { install, lay } from '../support/receipts.ts';

async function stick(t: TestContext) {
  const folder = await temporaryFolder(t);
  const medium = join(folder, 'stick');
  await mkdir(medium);
  const bundle = async (host: string) => {
    const path = join(folder, `${host}.tar`);
    await writeTestBundle(path, { manifest: { host, sequence: 1 } });
    return path;
  };
  return { folder, medium, bundles: { web: await bundle('web'), mail: await bundle('mail') } };
}

/** Bytes of an entry’s pieces that are there, and that should be. */
async function measured(medium: string, host: string) {
  const entry = join(hostsOf(medium), host, '1');
  const head = await readHeadFiles(entry);
  assert.ok(head, host);
  return measurePool(entry, await readPoolRelease(entry, withoutVerifying(head)));
}

test('a second put waits for the first, and neither takes away what the other has written', async (t) => {
  const { medium, bundles } = await stick(t);
  const told: string[] = [];
  let second: Promise<unknown> | undefined;
  // In the middle of the first: its pieces are there, its manifest is not.
  const run: ProcessRunner = async (...args) => {
    if (second === undefined && args[0] === 'sync')
      await new Promise<void>((goOn) => {
        const options: PutOptions = {
          ...{ medium, keep: 1, bundles: [bundles.mail] },
          onWait: (who) => goOn(void told.push(who)),
        };
        second = putBundles(options).finally(goOn);
      });
    return runProgram(...args);
  };
  await putBundles({ medium, bundles: [bundles.web], keep: 1 }, undefined, run);
  await second;
  assert.deepEqual(
    (await listPool(medium)).map((e) => e.host),
    ['mail', 'web'],
  );
  for (const host of ['mail', 'web']) {
    const { present, expected } = await measured(medium, host);
    assert.equal(present, expected, host);
  }
  assert.match(told.join('\n'), new RegExp(`^put, process ${process.pid} on .+$`));
  assert.equal(await readFile(lockOf(medium), 'utf8'), '', 'nobody is named who is not at work');
});

test('one that has waited long enough says who has it', async (t) => {
  const { medium, bundles } = await stick(t);
  await mkdir(hostsOf(medium), { recursive: true });
  await inTurn({ hold: holdProgram, file: lockOf(medium), verb: 'put' }, () =>
    assert.rejects(putBundles({ medium, bundles: [bundles.web], keep: 1, patience: 0 }), {
      code: 'busy',
      detail: new RegExp(`^${lockOf(medium)} is held by put, process ${process.pid} on `),
    }),
  );
  // Whatever ended the other, nothing holds it now.
  await putBundles({ medium, bundles: [bundles.web], keep: 1, patience: 0 });
});

test('a link or a pipe in the place of the lock leads nowhere and is not waited for', async (t) => {
  const { folder, medium, bundles } = await stick(t);
  await mkdir(hostsOf(medium), { recursive: true });
  const precious = join(folder, 'precious');
  await writeFile(precious, 'precious');
  await symlink(precious, lockOf(medium));
  const putting = () => putBundles({ medium, bundles: [bundles.web], keep: 1 });
  await assert.rejects(putting(), { code: 'medium-read-only', detail: /ELOOP$/ });
  assert.equal(await readFile(precious, 'utf8'), 'precious');
});

test('two who sign one bundle at once have both signed it', async (t) => {
  const { bundles } = await stick(t);
  const signers = ['one', 'two', 'three'].map((name) =>
    signerWith(parseSecretKey(generateKeyPair(name).secret)),
  );
  await Promise.all(signers.map((signer) => signBundleFile(bundles.web, signer)));
  const { signatureBytes } = await readAnyHead(bundles.web);
  const names = parseSignatureFile(signatureBytes).map(({ keyName }) => keyName);
  for (const { name } of signers) assert.ok(names.includes(name), name);
});

test('two who sign one keyring at once have both signed it', async (t) => {
  const folder = await temporaryFolder(t);
  const signers = ['one', 'two', 'three'].map((name) =>
    signerWith(parseSecretKey(generateKeyPair(name).secret)),
  );
  const said = {
    ...{ schema: 1, version: 2, hosts: ['web'], threshold: 1, roles: {} },
    trustedKeys: signers.map(({ publicText }) => publicText),
  };
  const [json, file] = [join(folder, 'next.json'), join(folder, '2.keyring')];
  await writeFile(json, JSON.stringify(said));
  await makeKeyringFile(json, file);
  await Promise.all(signers.map((signer) => signKeyringFile(file, signer)));
  assert.deepEqual((await inspectKeyringFile(file)).claimedSigners.toSorted(), ['one', 'three', 'two']);
});

test('who collects waits for another that collects into the same folder', async (t) => {
  const folder = await temporaryFolder(t);
  const [fleet, medium] = [join(folder, 'fleet'), join(folder, 'stick')];
  await lay(medium, 'web', { '1.json': install('web').sign({ number: 1 }) });
  const collecting = await inFleetTurn(fleet, {
    work: async () => {
      const ran = run(process.execPath, [main, 'collect', medium, '--enrol', '-d', fleet]);
      await untilWaiting(turnIn(fleet), ran);
      assert.deepEqual(await readdir(fleet), ['.nixmaker.lock'], 'nothing is written meanwhile');
      return { ran };
    },
  });
  const { code, stdout, stderr } = await collecting.ran;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^web +1 +done +new, host enrolled$/m);
  assert.match(stderr, new RegExp(`^waiting for collect, process ${process.pid} on `, 'm'));
});

/** Until somebody waits for the lock, as the kernel lists it (proc_locks(5)), or `work` has ended. */
async function untilWaiting(file: string, work: Promise<unknown>): Promise<void> {
  let isEnded = false;
  work.finally(() => (isEnded = true));
  const waits = new RegExp(`-> FLOCK .*:${(await stat(file)).ino} `);
  while (!isEnded && !waits.test(await readFile('/proc/locks', 'utf8'))) await setTimeout(20);
}

test('a build waits for another that writes the same host’s bundle', async () => {
  const { folder, keys, nixmaker } = await makeDesk();
  const out = join(folder, 'shared-out');
  const flake = await writeFlake(join(folder, 'flake'), { hosts: { web: plainHost('web', 'motd') } });
  await mkdir(join(out, 'web'), { recursive: true });
  const file = turnIn(join(out, 'web'));
  const building = await inTurn({ hold: holdProgram, file, verb: 'build' }, async () => {
    const ran = nixmaker('build', '-f', `path:${flake}`, '-d', out, '--key', keys.secretFile);
    await untilWaiting(file, ran);
    assert.deepEqual(await readdir(join(out, 'web')), ['.nixmaker.lock'], 'nothing is written meanwhile');
    return { ran };
  });
  const { code, stderr } = await building.ran;
  assert.equal(code, 0, stderr);
  assert.match(stderr, new RegExp(`^web: waiting for build, process ${process.pid} on `, 'm'));
  assert.equal((await readRelease(join(out, 'web/web.tar'))).manifest.sequence, 1);
});

test('what a killed build leaves is cleared away by the next one, and never what a build works on', async () => {
  const { folder, builder } = await makeDesk();
  const out = join(folder, 'swept-out');
  const goOn = join(folder, 'go-on');
  const slow = (name: string) =>
    `{ config.system.build.toplevel = derivation { name = "nixos-system-${name}-0"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo >${folder}/${name}-begun; until [ -e ${goOn} ]; do sleep 0.05; done; mkdir $out" ]; }; }`;
  const hosts = { dead: slow('dead'), alive: slow('alive'), quick: plainHost('quick', 'quick') };
  const flake = await writeFlake(join(folder, 'swept'), { hosts });
  const build = (host: string) => [
    ...[process.execPath, main, 'build', '-f', `path:${flake}`, '-d', out, '--host', host],
  ];
  const stagings = async () => (await readdir(out)).filter((name) => name.startsWith('.nixmaker-'));
  const kill = '"$@" & p=$!; until [ -e "$0" ]; do sleep 0.05; done; kill -KILL $p; wait $p';
  try {
    const killed = await builder.run(['sh', '-uc', kill, join(folder, 'dead-begun'), ...build('dead')]);
    assert.equal(killed.code, 137, killed.stderr);
    const [dead = '', ...others] = await stagings();
    assert.deepEqual(others, []);
    const living = builder.run(build('alive'));
    while (!existsSync(join(folder, 'alive-begun'))) await setTimeout(20);
    const [alive = ''] = (await stagings()).filter((name) => name !== dead);
    assert.ok(!existsSync(join(out, dead)), 'the next build has cleared it away');
    await mkdir(join(out, '.nixmaker-staging-older'));
    const quick = await builder.run(build('quick'));
    assert.equal(quick.code, 0, quick.stderr);
    assert.deepEqual((await stagings()).sort(), ['.nixmaker-staging-older', alive].sort());
    await writeFile(goOn, '');
    const { code, stderr } = await living;
    assert.equal(code, 0, stderr);
    // The killed one’s Nix has lived on, and may have made its link once more.
    const left = (await stagings()).filter((name) => name !== dead);
    assert.deepEqual(left, ['.nixmaker-staging-older'], 'without a lock: not known to be dead');
    const old = new Date(Date.now() - 25 * 60 * 60 * 1000);
    for (const name of await stagings()) await utimes(join(out, name), old, old);
    await builder.run(build('quick'));
    assert.deepEqual(
      (await stagings()).filter((name) => name !== dead),
      [],
    );
  } finally {
    await writeFile(goOn, '');
  }
});
