/** Restarts of a real machine: the system that was installed for one, judged, kept or taken back. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Vm } from '../machines/vm.ts';
import { bootCopy, dropBundle, makeDisk } from '../machines/vm-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const release = (name: string, sequence: number) =>
  shop.bundle(name, { hosts: { web: plainHost('web', name) }, args: ['--sequence', String(sequence)] });
const old = await release('old', 0);
const next = await release('next', 10);
const last = await release('last', 20);

let count = 0;

/** A transition of the newest bundle, in the helper’s journal. */
const reached = (state: string) =>
  `grep -q '"state":"${state}".*"sequence":11\\b\\|"sequence":11\\b.*"state":"${state}"' /var/lib/nixmaker/activation/journal`;

after(() => Vm.cutAll());
const golden = await makeDisk(shop, 'golden', { bundle: old });

/** A machine that runs `old` under the policy. */
async function makeMachine(policy: Record<string, unknown>) {
  count += 1;
  const folder = join(shop.folder, `machine-${count}`);
  const vm = await bootCopy(golden, folder);
  const whole = { schema: 1, host: 'web', operation: 'boot', trustedKeys: [shop.keys.publicKey], ...policy };
  await vm.write('/etc/nixmaker/policy.json', JSON.stringify(whole));
  await vm.sh('systemctl restart nixmaker.service');
  await vm.until('test "$(systemctl is-active nixmaker.service)" = active');
  return {
    sh: (script: string) => vm.sh(script),
    until: (script: string) => vm.until(script),
    drop: (bundle: string) => dropBundle(vm, bundle, 'web.tar'),
    /** Waits until the machine has gone down by itself, and starts it again. */
    restarts: () => vm.restarted(),
    runs: async () => (await vm.sh('cat /run/current-system/etc/motd')).trim(),
    stands: async () =>
      (
        await vm.sh(
          'for s in /nix/var/nix/profiles/system /run/booted-system /run/current-system; do cat $s/etc/motd; echo; done',
        )
      )
        .trim()
        .split('\n'),
  };
}

describe('restarts', { concurrency: 2 }, () => {
  test('with leave to restart, a machine restarts into what was installed, and keeps it once it is well', async () => {
    const health = { settle: 0, systemRunning: true, units: ['nix-daemon.socket'] };
    const machine = await makeMachine({ health, reboot: { when: 'when-needed', delay: 1 } });
    await machine.drop(next);
    await machine.restarts();
    await machine.until(reached('committed'));
    assert.deepEqual(await machine.stands(), ['next', 'next', 'next']);
    await machine.until('journalctl --boot --output=cat --no-pager --unit nixmaker | grep -q agent-ready');
    const order = await machine.sh(
      'journalctl --boot --output=cat --no-pager --unit nixmaker --unit nixmaker-confirm | grep -o \'"event":"[a-z-]*"\' | head -20',
    );
    assert.ok(order.indexOf('committed') < order.indexOf('agent-ready'), order);
    assert.equal(
      (
        await machine.sh('systemctl start boot-complete.target; systemctl is-active boot-complete.target')
      ).trim(),
      'active',
    );
  });

  test('one that is unwell after its start is taken back, and the machine restarts into the old', async () => {
    const health = {
      settle: 0,
      retries: 0,
      commands: [['sh', '-c', '! grep -q next /run/current-system/etc/motd']],
    };
    const machine = await makeMachine({ health, reboot: { when: 'when-needed', delay: 3 } });
    await machine.drop(next);
    await machine.restarts();
    assert.equal(await machine.runs(), 'next');
    await machine.until(reached('rolled-back'));
    const blessed = await machine.sh('systemctl start boot-complete.target 2>&1 || echo refused');
    assert.match(blessed, /refused/, 'a boot loader that counts tries must not be told that all is well');
    await machine.restarts();
    assert.deepEqual(await machine.stands(), ['old', 'old', 'old']);
    await machine.until('test "$(systemctl is-active nixmaker.service)" = active');
  });

  test('a restart waits for who holds an inhibitor lock, and for a bundle that is being taken', async () => {
    const machine = await makeMachine({ reboot: { when: 'always', delay: 0 } });
    await machine.sh(
      'systemd-run --quiet --unit=surgery systemd-inhibit --what=shutdown --why=surgery sleep infinity; until systemd-inhibit --list | grep -q surgery; do sleep 0.05; done',
    );
    await machine.drop(next);
    const waits = (why: string) =>
      machine.until(
        `journalctl --no-pager --unit nixmaker-reboot --output=cat | grep reboot-waits | grep -q "${why}"`,
      );
    await waits('inhibit');
    await machine.sh('echo "agent before imported" >/run/hold/at');
    await machine.drop(last);
    await machine.until('test -e /run/hold/held');
    await machine.sh('systemctl stop surgery; systemctl start nixmaker-reboot.service');
    await waits('a bundle is being taken');
    assert.equal(await machine.runs(), 'old');
    await machine.sh('touch /run/hold/go');
    await machine.restarts();
    await machine.until(reached('committed').replaceAll('11', '21'));
    assert.deepEqual(await machine.stands(), ['last', 'last', 'last']);
  });

  test('where nobody confirms in time, the previous system is installed again', async () => {
    const machine = await makeMachine({
      boot: { confirm: 'manual', within: 4 },
      reboot: { when: 'when-needed', delay: 1 },
    });
    await machine.drop(next);
    await machine.restarts();
    await machine.until(reached('pending'));
    await machine.restarts();
    assert.deepEqual(await machine.stands(), ['old', 'old', 'old']);
    assert.match(await machine.sh('nixmaker history'), /11 +rolled back +not-confirmed/);
  });
});
