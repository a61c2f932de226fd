/**
 * A live system in a folder: /nix, /run and /boot of its own, and a new disk mounted at /mnt, on which a machine can be installed. What a
 * NixOS system brings itself, the samples’ take from this machine: /usr is shown in the new root.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nixConf } from './builder.ts';
import { main } from './compiled.ts';
import { Namespace } from './namespace.ts';
import type { Ran, RunOptions } from './program.ts';

export interface LiveSystem {
  readonly folder: string;
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
  /** @throws Error if it fails */
  sh(script: string): Promise<string>;
  install(args: readonly string[], options?: RunOptions): Promise<Ran>;
  close(): void;
}

/** A file system on a loop device where the kernel lets us, otherwise in memory; the sample’s /usr in it. */
const mountDisk = (disk: string, megabytes: number) => `
truncate --size=${megabytes}M ${disk}
mkfs.ext4 -q -F ${disk}
mount -o loop ${disk} /mnt 2>/dev/null || mount -t tmpfs -o size=${megabytes}m,mode=755 disk /mnt
rmdir /mnt/lost+found 2>/dev/null || true
mkdir -m 1777 /mnt/tmp
mkdir /mnt/usr /mnt/run /mnt/boot
mount --bind /usr /mnt/usr
for entry in /bin /lib*; do
  if [ -L $entry ]; then cp -P $entry /mnt$entry; else mkdir /mnt$entry; mount --bind $entry /mnt$entry; fi
done
`;

export async function bootLive(folder: string, { megabytes = 200 } = {}): Promise<LiveSystem> {
  await mkdir(join(folder, 'etc'), { recursive: true });
  await mkdir(join(folder, 'tmp'));
  await writeFile(join(folder, 'etc/nix.conf'), nixConf(''));
  const namespace = await Namespace.open(folder);
  const env = { NIX_CONF_DIR: join(folder, 'etc'), TMPDIR: join(folder, 'tmp'), HOME: folder };
  const inside = (command: readonly string[], options: RunOptions = {}) =>
    namespace.run(command, { ...options, env: { ...env, ...options.env } });
  const sh = async (script: string) => {
    const ran = await inside(['sh', '-eu', '-c', script]);
    if (ran.code !== 0) throw new Error(`${script}: ${ran.stderr}`);
    return ran.stdout;
  };
  await sh(mountDisk(join(folder, 'disk.img'), megabytes));
  return {
    folder,
    run: inside,
    sh,
    install: (args, options) =>
      inside([process.execPath, main, 'install', '--root', '/mnt', ...args], options),
    close: () => namespace.close(),
  };
}
