/**
 * Systems that would lock nixmaker out: whose policy, settings or keyring can’t be used. None is committed; and where they can’t be
 * used for another reason, what was begun is ended, and the way back is open.
 */
import assert from 'node:assert/strict';
import { chmod, copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { BootedMachines } from '../support/booted-machine.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { systemWith } from '../support/system-with.ts';
import { parse, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const hook = '/run/nixmaker-test-hook';
/** A system that does, when it is switched to, what a file of this machine says. */
const switchPrelude = `[ ! -x ${hook} ] || ${hook} "$0" "\${1:-}" "$PPID"`;
const release = (name: string, sequence: number, host = plainHost('web', name)) =>
  shop.bundle(`locked-${name}`, {
    hosts: { web: host },
    switchPrelude,
    args: ['--sequence', String(sequence)],
  });

const target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  // It forgets what it has taken, and keeps its generations.
  policy: { firstStart: 'no-record' },
});
after(() => target.close());
const { policyFile, settingsFile, stateDirectory } = target;
const kept = join(target.root, 'kept');

const bundles = { one: await release('one', 10), two: await release('two', 20) };
const two = (await released(bundles.two)).toplevel;

const script = async (lines: string) => {
  await writeFile(join(target.root, hook), `#!/bin/sh\n${lines}\n`);
  await chmod(join(target.root, hook), 0o755);
};

/** System two brings its own files, as NixOS’s /etc does; any other brings those that were there. */
const brings = (breaking: string, more = '') =>
  script(`case $2 in switch | test) ;; *) exit 0 ;; esac
case $1 in
  ${two}/*) ${breaking}; ${more} ;;
  *) rm -f ${policyFile}; cp ${kept}/policy.json ${policyFile}; cp ${kept}/settings.json ${settingsFile}; rm -f ${stateDirectory}/keyring.* ;;
esac`);

const once = () => target.verb('agent', ['--once']);
const stands = async () => [await target.currentSystem(), await target.profile()];

/** A machine that runs system one and has never heard of another. */
async function forget(): Promise<void> {
  for (const name of await readdir(stateDirectory))
    if (/^(journal|floor\.|held\.|receipts)/.test(name))
      await rm(join(stateDirectory, name), { recursive: true });
  await rm(join(target.root, 'nix/var/nix/profiles/system.floor'), { force: true });
}

before(async () => {
  assert.equal((await take(target, 'switch', bundles.one)).state, 'committed');
  await target.run(['mkdir', '-p', kept]);
  await copyFile(policyFile, join(kept, 'policy.json'));
  await copyFile(settingsFile, join(kept, 'settings.json'));
});

for (const [what, breaking, because] of [
  ['policy is malformed', `echo '{"schema":1,"hosts":"web"}' >${policyFile}`, /policy-malformed: .*hosts/],
  ['policy is gone', `rm ${policyFile}`, /policy-missing/],
  ['policy anybody may write', `chmod 0666 ${policyFile}`, /policy-unsafe/],
  ['key is no key', `sed -i 's/"fleet-1:[^"]*"/"fleet-1:AAAA"/' ${policyFile}`, /key-malformed/],
  ['settings are malformed', `echo '{"inboxes":1}' >${settingsFile}`, /settings-malformed: .*inboxes/],
  ['keyring is damaged', `for c in a b; do echo x >${stateDirectory}/keyring.$c; done`, /state-corrupt/],
] as const) {
  test(`a system whose ${what} is not committed`, async () => {
    await forget();
    await brings(breaking);
    const was = await stands();
    const taken = await take(target, 'switch', bundles.two);
    assert.deepEqual([taken.state, taken.code], ['rolled-back', 'configuration-unusable'], taken.detail);
    assert.match(taken.detail ?? '', because);
    assert.deepEqual(await stands(), was);
    assert.equal((await once()).code, 0, 'and bundles are taken as before');
  });
}

test('cut off after such a switch, the run is ended by the helper, which then serves again', async () => {
  await forget();
  const was = await stands();
  const killed = join(target.root, 'killed');
  await brings(`rm ${policyFile}`, `[ -e ${killed} ] || { touch ${killed}; kill -KILL "$3"; }`);
  const cut = await target.verb('switch', ['--tarball', bundles.two]);
  assert.equal(cut.signal ?? cut.code, 'SIGKILL', cut.stderr);
  assert.equal((await once()).code, 78, 'nothing is taken');
  const served = await target.verb('activate');
  assert.equal(served.code, 0, served.stderr);
  assert.match(
    served.stderr,
    /"event":"opened-to-undo".*policy-missing|policy-missing.*"event":"opened-to-undo"/,
  );
  assert.match(served.stderr, /"code":"configuration-unusable"/);
  assert.deepEqual(await stands(), was);
  assert.equal((await once()).code, 0);
});

for (const [what, spoil] of [
  ['policy', () => rm(policyFile)],
  [
    'settings',
    async () => writeFile(settingsFile, (await readFile(settingsFile, 'utf8')).replace('{', '{"x":1,')),
  ],
  ['keyring', () => Promise.all(['a', 'b'].map((c) => writeFile(join(stateDirectory, `keyring.${c}`), 'x')))],
] as const) {
  test(`without a usable ${what} a person goes back to another generation all the same; nothing else is done`, async () => {
    await forget();
    await script('exit 0');
    const first = await take(target, 'switch', bundles.one);
    assert.equal(first.state, 'committed', first.said + first.detail);
    const [before] = await stands();
    const taken = await take(target, 'switch', bundles.two);
    assert.equal(taken.state, 'committed', taken.detail);
    await spoil();
    assert.equal((await target.verb('activate')).code, what === 'keyring' ? 1 : 78);
    assert.equal((await target.verb('confirm')).code, what === 'keyring' ? 1 : 78);
    const back = await target.verb('rollback', ['--json']);
    assert.equal(back.code, 0, back.stderr);
    assert.equal(parse(back.stdout).state, 'committed');
    assert.match(parse(back.stdout).notices?.join() ?? '', /nixmaker cannot work under this system/);
    assert.deepEqual(await target.currentSystem(), before);
    await copyFile(join(kept, 'policy.json'), policyFile);
    await copyFile(join(kept, 'settings.json'), settingsFile);
    for (const c of ['a', 'b']) await rm(join(stateDirectory, `keyring.${c}`), { force: true });
  });
}

const answer = '/run/nixmaker-test-answer';
/** A nixmaker that says what a file of this machine says, and how it was asked. */
const ownNixmaker = `mkdir -p $out/sw/bin
      printf '#!/bin/sh\\necho "$@" >>${answer}.asked\\n[ ! -e ${answer} ] || . ${answer}\\n' >$out/sw/bin/nixmaker
      chmod +x $out/sw/bin/nixmaker`;

test('where the new system has a nixmaker of its own, that one is asked, and its no counts', async () => {
  await forget();
  await script('exit 0');
  assert.equal((await take(target, 'switch', bundles.one)).state, 'committed');
  const was = await stands();
  const own = await release('own', 30, systemWith('own', ownNixmaker));
  await writeFile(
    join(target.root, answer),
    'echo "policy-malformed: sources.label is not known here" >&2; exit 78',
  );
  const refused = await take(target, 'switch', own);
  assert.deepEqual([refused.state, refused.code], ['rolled-back', 'configuration-unusable'], refused.detail);
  assert.match(
    refused.detail ?? '',
    /sw\/bin\/nixmaker rejects .*policy\.json: policy-malformed: sources\.label/,
  );
  assert.deepEqual(await stands(), was);
  assert.equal(
    await readFile(join(target.root, `${answer}.asked`), 'utf8'),
    `check-policy --settings ${settingsFile} ${policyFile}\n`,
  );
  await forget();
  await rm(join(target.root, answer));
  const taken = await take(target, 'switch', own);
  assert.equal(taken.state, 'committed', taken.detail);
});

/** Below its own /etc. */
const ownPolicy = (policy: object) =>
  `rm $out/etc; mkdir -p $out/etc/nixmaker; echo '${JSON.stringify(policy)}' >$out/etc/nixmaker/policy.json`;

test('one that is installed for the next start is judged by the /etc that it will bring', async () => {
  const policy = {
    schema: 1,
    host: 'web',
    operation: 'boot',
    operations: ['switch'],
    trustedKeys: [shop.keys.publicKey],
  };
  const other = await makeTarget(join(shop.folder, 'next'), {
    host: 'web',
    trustedKeys: policy.trustedKeys,
    settings: { policyFile: '/etc/nixmaker/policy.json' },
  });
  after(() => other.close());
  const etc = join(other.root, 'etc-of-its-own');
  const laid = await other.run([
    'sh',
    '-euc',
    `mkdir -p "$1/nixmaker"; cp /etc/passwd /etc/group "$1"; echo "$2" >"$1/nixmaker/policy.json"; mount --bind "$1" /etc`,
    'sh',
    etc,
    JSON.stringify(policy),
  ]);
  assert.equal(laid.code, 0, laid.stderr);
  assert.equal((await take(other, 'switch', bundles.one)).state, 'committed');
  const bad = await release('bad-next', 20, systemWith('bad-next', ownPolicy({ ...policy, treshold: 1 })));
  const refused = await take(other, 'boot', bad);
  assert.deepEqual([refused.state, refused.code], ['rolled-back', 'configuration-unusable'], refused.detail);
  assert.match(
    refused.detail ?? '',
    /nixos-system-web-26\.05\.bad-next\/etc\/nixmaker\/policy\.json.*threshold/,
  );
  const good = await release('good-next', 30, systemWith('good-next', ownPolicy(policy)));
  const installed = await take(other, 'boot', good);
  assert.equal(installed.state, 'pending', installed.detail);
});

test('one that says there is no way back, and under whose /etc nixmaker could not go on, is never switched to', async () => {
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] };
  const other = await makeTarget(join(shop.folder, 'one-way'), {
    host: 'web',
    trustedKeys: policy.trustedKeys,
    settings: { policyFile: '/etc/nixmaker/policy.json' },
  });
  after(() => other.close());
  const etc = join(other.root, 'etc-of-its-own');
  const lay = `mkdir -p "$1/nixmaker"; cp /etc/passwd /etc/group "$1"; echo "$2" >"$1/nixmaker/policy.json"; mount --bind "$1" /etc`;
  const laid = await other.run(['sh', '-euc', lay, 'sh', etc, JSON.stringify(policy)]);
  assert.equal(laid.code, 0, laid.stderr);
  assert.equal((await take(other, 'switch', bundles.one)).state, 'committed');
  const was = [await other.currentSystem(), await other.profile()];
  const oneWay = await shop.bundle('locked-one-way', {
    hosts: { web: systemWith('one-way', ownPolicy({ ...policy, treshold: 1 })) },
    args: ['--sequence', '20', '--one-way', 'the database is migrated'],
  });
  const refused = await take(other, 'switch', oneWay);
  assert.deepEqual([refused.state, refused.code], ['rolled-back', 'configuration-unusable'], refused.detail);
  assert.deepEqual([await other.currentSystem(), await other.profile()], was);
});

const machines = new BootedMachines(shop);

test('a system that was started into, and under which nixmaker can’t go on, is not confirmed', async () => {
  const machine = await machines.make('locked-boot');
  await machine.does('boot', await machines.release('b', 10));
  await machine.restart();
  const { policyFile: policy } = machine.target;
  await copyFile(policy, `${policy}.kept`);
  await rm(policy);
  const receipt = await machine.does('confirm');
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'configuration-unusable'], receipt.detail);
  assert.match(receipt.detail ?? '', /policy-missing/);
  await assert.rejects(machine.runs('confirm'), /policy-missing/, 'nothing is left to be judged');
  await copyFile(`${policy}.kept`, policy);
  await machine.restart();
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
});
