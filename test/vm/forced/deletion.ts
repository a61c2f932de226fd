/** The power is cut when Nix has deleted paths, the file system has that on disk, and Nix’s database does not. */
import assert from 'node:assert/strict';
import { compiledNode } from '../../machines/compiled.ts';
import type { Vm } from '../../machines/vm.ts';
import { fresh, inMachine, lazy, registered } from '../power-cut/scene.ts';

/** Another client of the database: without one the last writes the log into it when it goes, and flushes both. */
const another = `setsid ${compiledNode} -e 'const db = new (require("node:sqlite").DatabaseSync)("/nix/var/nix/db/db.sqlite"); db.prepare("select count(*) from ValidPaths").get(); require("node:fs").writeFileSync("/run/another", ""); setInterval(() => db, 1000)' >/dev/null 2>&1 &`;

const masked = ['nixmaker.service', 'nixmaker-activate.service', 'nixmaker-activate.path'].map(
  (unit) => `systemd.mask=${unit}`,
);

/** Valid and without files, of these. */
const lostOf = async (vm: Vm, paths: readonly string[]): Promise<string[]> => {
  const script = `for path in ${paths.join(' ')}; do if nix-store --check-validity $path 2>/dev/null && ! test -e $path; then echo $path; fi; done`;
  return (await vm.sh(script)).trim().split('\n').filter(Boolean);
};

export async function cutAfterDeletion(disk: string): Promise<void> {
  await inMachine(await fresh(disk), async (boot) => {
    // Without nixmaker, whose own collection after a start would take them first.
    const vm = await boot(masked);
    const added = await vm.sh(
      `for name in one two three four; do mkdir -p /root/$name/lib; echo $name >/root/$name/lib/text; echo $name >/root/$name/text; nix-store --add /root/$name; done`,
    );
    const paths = added.trim().split('\n');
    assert.equal(paths.length, 4, added);
    const [torn, ...gone] = paths as [string, ...string[]];
    await vm.sh(`${registered}; sync; ${lazy}; ${another}`);
    await vm.until('test -e /run/another');
    // What a deletion has done when it is cut off within a path; the rest it has finished.
    await vm.sh(`chmod u+w ${torn}; rm ${torn}/text; nix-store --delete ${gone.join(' ')}`);
    // Any flush takes all that the file system’s own log has.
    await vm.sh('echo >/root/flushed; sync /root/flushed').finally(() => vm.cutPower());

    const idle = await boot(masked);
    assert.deepEqual(await lostOf(idle, gone), gone, 'the database has them again, the disk has not');
    await idle.powerOff();

    const again = await boot();
    await again.until(
      'journalctl --boot --no-pager --output=cat --unit nixmaker-activate | grep lost-paths-dropped',
    );
    for (const path of paths) assert.equal((await again.try(`nix-store --check-validity ${path}`)).code, 1);
    const verified = await again.try('nix-store --verify --check-contents 2>&1');
    assert.doesNotMatch(verified.output, /was modified|disappeared|error:/);
  });
}
