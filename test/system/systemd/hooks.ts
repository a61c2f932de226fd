/** The operator’s hooks, run by root in units of their own: what each may hold up, and how none is left behind. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { bed, drop, release, report, writePolicy } from './scene.ts';

/** Says what it was asked, then does what /root/mode says. */
const before = `#!/bin/sh
echo "before $NIXMAKER_SEQUENCE $NIXMAKER_OPERATION" >>/root/hooks
test "$NIXMAKER_PREVIOUS" = "$(readlink -f /nix/var/nix/profiles/system)" || exit 1
test -w /home || exit 2
case $(cat /root/mode) in
  later) echo "the lathe runs"; exit 75 ;;
  broken) echo "no room for a snapshot" >&2; exit 3 ;;
  slow) sleep 6543 ;;
  hanging) setsid sleep 6543 & trap '' TERM; sleep 6543 ;;
esac
`;
const other = (name: string) =>
  `#!/bin/sh\necho "${name} $NIXMAKER_SEQUENCE $NIXMAKER_CODE $(readlink /run/current-system)" >>/root/hooks\n`;

const asked = () => bed.sh('cat /root/hooks');
const mode = (name: string) => bed.write('/root/mode', name);
const hookUnits = 'systemctl list-units --all --plain --no-legend "nixmaker-hook-*"';
const nothingLeft = `test -z "$(${hookUnits})" && ! pgrep -fx "sleep 6543"`;

const hooks = (timeout: number) => ({
  before: { command: ['/etc/nixmaker/before'], timeout },
  after: { command: ['/etc/nixmaker/after'] },
  rollBack: { command: ['/etc/nixmaker/roll-back'] },
});

test('a hook that says not now, one that fails, and one that hangs: nothing is changed, and nothing stays behind', async () => {
  await bed.write('/etc/nixmaker/before', before, '0755');
  await bed.write('/etc/nixmaker/after', other('after'), '0755');
  await bed.write('/etc/nixmaker/roll-back', other('rollBack'), '0755');
  await bed.write('/root/hooks', '');
  await writePolicy({ hooks: hooks(1) });
  await bed.sh('systemctl restart nixmaker.service');
  const path = await release('hooked', 930);
  await bed.write('/root/hooked.tar', await readFile(path));
  const profile = await bed.sh('readlink /nix/var/nix/profiles/system');
  const byHand = async () => {
    const ran = await bed.run(['nixmaker', 'switch', '/root/hooked.tar']);
    return [ran.code, /Detail: +(.*)/.exec(ran.stdout)?.[1]];
  };
  await mode('broken');
  assert.deepEqual(await byHand(), [75, 'hooks.before: exit 3: no room for a snapshot']);
  await mode('hanging');
  // It ignores SIGTERM, and has a child in a session of its own.
  assert.deepEqual(await byHand(), [75, 'hooks.before: it did not finish in time']);
  await bed.sh(nothingLeft);
  await mode('later');
  await drop(path, 'hooked.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"code":"not-now"\' | grep -q "hooks.before: the lathe runs"',
  );
  // The bundle is done with: the release is staged, and asked about again.
  assert.match(await report('done', 'hooked.tar'), /^STAGED.*^Code: +not-now$/ms);
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), profile);
  assert.match(await bed.sh('nixmaker status'), /^Staged: +release 931, since [^:]+:\d\d UTC:\s+not-now/m);
  await mode('fine');
  await bed.until('grep -q ^after /root/hooks');
  const { runs } = JSON.parse(await bed.sh('nixmaker history --json')) as {
    runs: { sequence?: number; state: string; hooks?: { hook: string; ok: boolean }[] }[];
  };
  const installed = runs.filter(({ sequence, state }) => sequence === 931 && state === 'committed');
  assert.equal(installed.length, 1);
  assert.ok(installed[0]?.hooks?.some(({ hook, ok }) => hook === 'before' && ok));
  const lines = (await asked()).trim().split('\n');
  assert.equal(lines.at(-1), `after 931  ${(await bed.sh('readlink /run/current-system')).trim()}`);
  assert.equal(lines.filter((line) => line.startsWith('after')).length, 1);
});

test('a hook whose starter was killed is ended before it is run again; rollBack runs before the old system is back', async () => {
  await writePolicy({ hooks: hooks(3600), health: { settle: 0, retries: 0, commands: [['/bin/false']] } });
  await bed.sh('systemctl restart nixmaker.service');
  const path = await release('unwell', 940);
  const old = (await bed.sh('readlink /run/current-system')).trim();
  await bed.write('/root/hooks', '');
  await mode('slow');
  await drop(path, 'unwell.tar');
  await bed.until(`${hookUnits} | grep -q running && grep -q ^before /root/hooks`);
  await mode('fine');
  await bed.sh('systemctl kill --signal=KILL nixmaker-activate.service');
  const unwell = await report('refused', 'unwell.tar');
  assert.match(unwell, /Code: +health-failed\n/);
  assert.match(unwell, /Hook: +hooks\.before ran\nHook: +hooks\.rollBack ran\n/);
  const [first, second, third, ...more] = (await asked()).trim().split('\n');
  assert.deepEqual([first, second, more], ['before 941 switch', 'before 941 switch', []]);
  assert.match(third ?? '', /^rollBack 941 health-failed \/nix\/store\//);
  assert.ok(!third?.includes(old), 'the new system was still running');
  assert.equal((await bed.sh('readlink /run/current-system')).trim(), old);
  await bed.sh(nothingLeft);
  await bed.write('/etc/nixmaker/roll-back', other('rollBack'), '0777');
  assert.match(
    await bed.sh('nixmaker doctor || true'),
    /hooks\.rollBack: others can write to \/etc\/nixmaker\/roll-back/,
  );
  await writePolicy();
  await bed.sh('systemctl restart nixmaker.service');
});
