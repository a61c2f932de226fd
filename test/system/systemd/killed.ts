/** Switches that fail, and processes that are killed in the middle of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bed, drop, release, report } from './scene.ts';

/** Grows with every bundle that comes. */
let sequence = 20;

test('a switch that fails is rolled back, and logged as an error', async () => {
  const before = await bed.sh('readlink /run/current-system');
  await drop(
    await release('bad', 10, 'if [ "${1:-}" = switch ]; then echo "the unit said no" >&2; exit 2; fi'),
    'bad.tar',
  );
  assert.match(
    await report('refused', 'bad.tar'),
    /^ROLLED BACK, the previous system was restored\n.*exit 2.*the unit said no/s,
  );
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), 'system-1-link\n');
  assert.match(
    await bed.sh(
      'journalctl --no-pager --unit nixmaker --unit nixmaker-activate --priority err --output=cat',
    ),
    /"event":"rolled-back"/,
  );
});

for (const who of ['nixmaker', 'nixmaker-activate', 'nixmaker nixmaker-activate']) {
  test(`${who} killed in the middle of a switch: the switch goes on, and the run is finished`, async () => {
    sequence += 10;
    const name = `killed-${sequence}`;
    const prelude = `if [ "\${1:-}" = switch ]; then touch /run/switching; while [ ! -e /run/go ]; do sleep 0.05; done; touch /run/went-on; fi`;
    await bed.sh('rm -f /run/switching /run/go /run/went-on');
    await drop(await release(name, sequence, prelude), `${name}.tar`);
    await bed.until('test -e /run/switching');
    for (const unit of who.split(' ')) {
      const pid = (await bed.sh('systemctl show --property MainPID --value "$1.service"', unit)).trim();
      await bed.sh('systemctl kill --kill-whom=main --signal=KILL "$1.service"', unit);
      await bed.until('test ! -e /proc/$1', pid);
    }
    assert.equal((await bed.run(['test', '-e', '/run/went-on'])).code, 1);
    await bed.sh('touch /run/go');
    await bed.until('test -e /run/went-on');
    assert.match(await report('done', `${name}.tar`), /^DONE\n/);
    assert.match(await bed.sh('cat /run/current-system/etc/motd'), new RegExp(name));
  });
}
