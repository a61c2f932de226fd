/** The table by which a live system knows which host a machine is to be. */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseHost, encodeHosts, matching, parseHosts } from '../../src/core/install/hosts.ts';
import { machineMarks } from '../../src/target/install/marks.ts';
import { temporaryFolder } from '../support/bundles.ts';

const base = { schema: 1, createdAt: '2026-11-01T00:00:00Z', unattended: false };
const mac = '52:54:00:12:34:56';
const id = 'a'.repeat(32);
const table = (...hosts: object[]) => parseHosts(encodeHosts({ ...base, hosts }));
const nobody = { serial: undefined, macs: [], machineId: undefined };

test('an entry counts if everything that it says is true of the machine', () => {
  const both = table({ host: 'web', serial: 'PF-4711', mac }, { host: 'lab', machineId: id });
  assert.deepEqual(matching(both, { ...nobody, serial: 'PF-4711' }), []);
  assert.equal(
    matching(both, { ...nobody, serial: 'PF-4711', macs: ['00:11:22:33:44:55', mac] })[0]?.host,
    'web',
  );
  assert.equal(matching(both, { ...nobody, machineId: id })[0]?.host, 'lab');
});

test('a person’s word counts for a machine that the table does not have, and not against it', () => {
  const known = table({ host: 'web', mac });
  const marks = { ...nobody, macs: [mac] };
  assert.equal(chooseHost(undefined, known, marks).host, 'web');
  assert.equal(chooseHost('web', known, marks).host, 'web');
  assert.equal(chooseHost('lab', known, nobody).host, 'lab');
  assert.equal(chooseHost(undefined, undefined, marks).host, undefined);
  const refused = (work: () => unknown, code: string, detail: RegExp) =>
    assert.throws(work, { code, detail });
  refused(() => chooseHost('lab', known, marks), 'wrong-host', /has this machine as web, not as lab/);
  refused(
    () => chooseHost(undefined, known, nobody),
    'host-unknown',
    /does not have this machine \(serial number unknown/,
  );
  const twice = table({ host: 'web', mac }, { host: 'lab', serial: 'PF-4711' });
  refused(
    () => chooseHost(undefined, twice, { ...marks, serial: 'PF-4711' }),
    'host-unknown',
    /as web and as lab/,
  );
});

describe('a table is refused', () => {
  for (const [why, hosts, detail] of [
    ['with an entry that fits any machine', [{ host: 'web' }], /neither serial, mac nor machineId/],
    ['with a maker’s placeholder', [{ host: 'web', serial: 'To be filled by O.E.M.' }], /no serial number/],
    ['with a number of zeros', [{ host: 'web', serial: '00000000' }], /no serial number/],
    [
      'with two that nothing tells apart',
      [
        { host: 'web', mac },
        { host: 'lab', mac },
      ],
      /web and lab are told apart by nothing/,
    ],
    ['with an address in capitals', [{ host: 'web', mac: mac.replace('52', '5A') }], /MAC address/],
    ['with a disk that is none', [{ host: 'web', mac, disks: ['sda'] }], /below \/dev/],
    ['without hosts', [], /hosts/],
  ] as const)
    test(why, () => {
      assert.throws(() => encodeHosts({ ...base, hosts }), { code: 'hosts-malformed', detail });
    });

  test('in any spelling but its own', () => {
    const text = encodeHosts({ ...base, hosts: [{ host: 'web', mac }] });
    for (const other of [
      text.trimEnd(),
      ` ${text}`,
      text.replace('{"schema":1,', '{"schema":1,"schema":1,'),
      '{',
    ])
      assert.throws(() => parseHosts(other), { code: 'hosts-malformed', detail: /canonical|JSON/ });
  });
});

test('whatever a table says, what was written is read again, and no machine is two hosts', () => {
  const hex = (length: number) =>
    fc
      .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
      .map((a) => a.join(''));
  const entry = fc.record({ host: fc.constantFrom('web', 'lab', 'ship-1'), machineId: hex(32) });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { minLength: 1, selector: (e) => e.machineId }), (hosts) => {
      const made = table(...hosts);
      assert.equal(encodeHosts(made), encodeHosts({ ...base, hosts }));
      for (const one of hosts)
        assert.equal(chooseHost(undefined, made, { ...nobody, machineId: one.machineId }).host, one.host);
    }),
  );
});

test('a machine is known by its own interfaces, and by the serial number that its firmware tells', async (t) => {
  const sys = await temporaryFolder(t);
  for (const [name, address, real] of [
    ['eth0', mac, true],
    ['br0', '52:54:00:00:00:01', false],
    ['lo', '00:00:00:00:00:00', true],
  ] as const) {
    await mkdir(join(sys, 'class/net', name), { recursive: true });
    await writeFile(join(sys, 'class/net', name, 'address'), `${address.toUpperCase()}\n`);
    if (real) await symlink('../../../devices/x', join(sys, 'class/net', name, 'device'));
  }
  await mkdir(join(sys, 'firmware/devicetree/base'), { recursive: true });
  await writeFile(join(sys, 'firmware/devicetree/base/serial-number'), '100000002e8f\0');
  const tree = await machineMarks(sys);
  assert.deepEqual([tree.serial, tree.macs], ['100000002e8f', [mac]]);
  await mkdir(join(sys, 'class/dmi/id'), { recursive: true });
  await writeFile(join(sys, 'class/dmi/id/product_serial'), 'PF-4711\n');
  assert.equal((await machineMarks(sys)).serial, 'PF-4711');
});
