/** What `--with-disk-script` asks for. */
import { join } from 'node:path';
import { NixmakerError } from '../../core/errors.ts';
import { isThere } from '../../files/read.ts';
import type { EvaluatedHost } from '../../nix/flake.ts';

/** As target/install/disk-script.ts looks for it. @throws NixmakerError `disk-unusable` */
export async function requireDiskScript(host: string, { toplevel }: EvaluatedHost): Promise<void> {
  for (const name of ['disk-script', 'disks.json'])
    if (!(await isThere(join(toplevel, 'etc/nixmaker', name))))
      throw new NixmakerError(
        'disk-unusable',
        `the system of ${host} has no etc/nixmaker/${name}: set services.nixmaker.diskScript and disks`,
      );
}
