/**
 * A machine in QEMU, with a real udev, for media of which it hears in other ways than of sticks: discs and cards in drives and readers
 * that stay, of which nothing comes but a `change`; and SD cards in a host of their own, none of which says that it is removable.
 */
import { join } from 'node:path';
import { after } from 'node:test';
import { nixSystem } from '../../machines/program.ts';
import { Qemu } from '../../machines/qemu.ts';
import { makeMediaDisk, makePool } from '../../machines/qemu-target.ts';
import { makeWorkshop } from '../../support/fleet.ts';

const shop = await makeWorkshop();
after(() => Qemu.cutAll());
export const folder = join(shop.folder, 'machine');
export const image = (name: string) => join(folder, `${name}.img`);
const blob = (name: string) =>
  `\${derivation { name = "data-${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c 1048576 /dev/urandom >$out" ]; }}`;

/** A folder with a pool, as `put` makes it. */
export async function pool(name: string, sequence: number): Promise<string> {
  const bundle = await shop.bundle(name, {
    hosts: { web: `mkSystem { hostName = "web"; motd = "${name} ${blob(name)}"; }` },
    args: ['--sequence', String(sequence - 1)],
  });
  return makePool(shop, name, bundle);
}

await makeMediaDisk(shop, folder, { media: '{ enable = true; }' });

/** Milliseconds, by emulation. */
export const long = 480_000;

const logOf = (unit: string) => `journalctl --no-pager --unit ${unit} --output=cat`;
const units =
  'nixmaker-activate.path nixmaker-receipts.path nixmaker-confirm.service nixmaker-activate.service nixmaker.service';

/** What a test asks of the machine. */
export interface Changed {
  readonly machine: Qemu;
  /** Starts nixmaker’s units, which nothing has started so far. */
  start(): Promise<void>;
  runs(name: string): Promise<void>;
  mounted(at: string): Promise<void>;
  /** Nothing is mounted. */
  gone(): Promise<void>;
  /** How often a person was told that a medium may go. */
  told(): Promise<number>;
  mayGo(count: number): Promise<void>;
}

/** @param args of QEMU’s */
export async function boot(args: readonly string[] = []): Promise<Changed> {
  const machine = await Qemu.boot(folder, args);
  await machine.sh('systemctl is-system-running --wait || true', long);
  await machine.sh('udevadm verify /etc/udev/rules.d/*.rules');
  const count = `${logOf('nixmaker-receipts')} | grep -c medium-may-go`;
  return {
    machine,
    start: async () => void (await machine.sh(`systemctl enable --now ${units}`, long)),
    runs: (name) => machine.until(`grep -q '^${name} ' /run/current-system/etc/motd`, long),
    mounted: (at) => machine.until(`findmnt /run/media/nixmaker/${at} >/dev/null`, long),
    gone: () =>
      machine.until('! findmnt --list --noheadings --output TARGET | grep ^/run/media/nixmaker/', long),
    told: async () => Number((await machine.try(count)).output),
    mayGo: (wanted) => machine.until(`test "$(${count})" -ge ${wanted}`, long),
  };
}
