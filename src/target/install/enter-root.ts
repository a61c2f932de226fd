/**
 * What nixos-enter(8) does with a new system (nixpkgs pkgs/by-name/ni/nixos-enter/nixos-enter.sh), and in it what nixos-install does to
 * make it start (nixos-install.sh), in their order. It runs in namespaces of its own, with which every mount goes.
 */
import { chmod, lstat, mkdir, readlink, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { complaintOf } from '../../core/complaint.ts';
import { ifNowhere } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { isThere } from '../../files/read.ts';
import { runProgram } from '../../process/run.ts';

export interface Entering {
  /** Where the new system’s file systems are mounted. */
  readonly root: string;
  readonly toplevel: string;
  /** SSH host keys to be there before the boot loader is installed, which may put one into the initrd. */
  readonly sshHostKeys: readonly string[];
  /** Milliseconds. */
  readonly deadline: number;
}

/** How one program of the new system ended. */
export interface Ended {
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  /** The last lines of its output. */
  readonly said: readonly string[];
}

export interface Entered {
  /** What went wrong, though nothing depends on it: nixos-enter goes on too. */
  readonly notices: readonly string[];
  readonly boot: Ended;
}

/** @param asked an `Entering` as JSON, by the process that has started us; namespaces are this process’s already */
export function enterAsAsked(asked: string): Promise<Entered> {
  // nixos-enter: it names a folder of the live system.
  delete process.env.TMPDIR;
  return enterRoot(runProgram, JSON.parse(asked) as Entering);
}

/** @throws NixmakerError `install-failed` if something can’t be mounted, `root-unusable` */
async function enterRoot(run: ProcessRunner, entering: Entering): Promise<Entered> {
  const { root, toplevel, deadline } = entering;
  if (!(await isThere(join(root, 'etc/NIXOS'))))
    throw new NixmakerError('root-unusable', `${root} is not a NixOS installation: it has no etc/NIXOS`);
  await mount(run, '--make-rprivate', '/');
  for (const folder of ['/dev', '/sys']) {
    await mkdir(join(root, folder), { recursive: true });
    await chmod(join(root, folder), 0o755);
    await mount(run, '--rbind', folder, join(root, folder));
  }
  const notices = [...(await addResolvConf(run, root)), ...(await activate(run, entering))];
  for (const path of entering.sshHostKeys) notices.push(...(await makeSshKey(run, entering, path)));
  const boot = await atItsOwnPlace(run, root, () =>
    inRoot(run, root, [`${toplevel}/bin/switch-to-configuration`, 'boot'], {
      env: { NIXOS_INSTALL_BOOTLOADER: '1' },
      timeout: deadline,
    }),
  );
  return { notices, boot };
}

async function mount(run: ProcessRunner, ...args: readonly string[]): Promise<void> {
  const result = await run('mount', args, { timeout: 60_000 });
  if (result.exitCode !== 0)
    throw new NixmakerError(
      'install-failed',
      `mount ${args.join(' ')}: ${complaintOf(result, 'no reason given')}`,
    );
}

interface InRoot {
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}

async function inRoot(
  run: ProcessRunner,
  root: string,
  command: readonly string[],
  { env = {}, timeout = 600_000 }: InRoot = {},
): Promise<Ended> {
  const { exitCode, timedOut, stdout, stderrTail, startError } = await run('chroot', [root, ...command], {
    ...{ env, timeout, cwd: '/' },
  });
  const said = [...stdout.split('\n').filter((line) => line !== ''), ...stderrTail];
  return {
    exitCode,
    timedOut,
    said: (startError === undefined ? said : [messageOf(startError)]).slice(-200),
  };
}

/** As arch-chroot does: what is bound is a file, wherever the new system’s link leads. @returns why not, for people */
async function addResolvConf(run: ProcessRunner, root: string): Promise<string[]> {
  if (!(await isThere('/etc/resolv.conf'))) return [];
  try {
    const own = join(root, 'etc/resolv.conf');
    const link = (await lstat(own).catch(ifNowhere(undefined)))?.isSymbolicLink() === true;
    const target = link ? await readlink(own) : undefined;
    const at =
      target === undefined ? own : target.startsWith('/') ? join(root, target) : join(root, 'etc', target);
    if ((await stat(at).catch(ifNowhere(undefined)))?.isFile() !== true) {
      await mkdir(dirname(at), { recursive: true });
      await writeFile(at, '', { mode: 0o644 });
    }
    await mount(run, '--bind', '/etc/resolv.conf', at);
    return [];
  } catch (error) {
    return [`The live system’s resolv.conf could not be shown to the new system: ${messageOf(error)}`];
  }
}

async function activate(run: ProcessRunner, { root, toplevel, deadline }: Entering): Promise<string[]> {
  const env = { LOCALE_ARCHIVE: `${toplevel}/sw/lib/locale/locale-archive`, IN_NIXOS_ENTER: '1' };
  const { exitCode, said } = await inRoot(run, root, [`${toplevel}/activate`], { env, timeout: deadline });
  await inRoot(run, root, [`${toplevel}/sw/bin/systemd-tmpfiles`, '--create', '--remove', '-E']);
  const last = said.at(-1) ?? 'it gave no reason';
  return exitCode === 0 ? [] : [`The activation script ended with ${exitCode ?? 'a signal'}: ${last}`];
}

/**
 * As NixOS’s own sshd-keygen would at the first start; only the kind to which secrets are encrypted. By the new system’s program, or by the
 * live system’s.
 */
async function makeSshKey(run: ProcessRunner, { root, toplevel }: Entering, path: string): Promise<string[]> {
  const at = join(root, path);
  const there = await stat(at).catch(ifNowhere(undefined));
  if (there !== undefined && there.size > 0) return [];
  // What a cut has left: ssh-keygen would ask before it writes over it.
  await rm(at, { force: true });
  await mkdir(dirname(at), { recursive: true });
  const args = (file: string) => ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file];
  const own = await inRoot(run, root, [`${toplevel}/sw/bin/ssh-keygen`, ...args(path)]);
  if (own.exitCode === 0) return [];
  const lives = await run('ssh-keygen', args(at), { timeout: 60_000 });
  if (lives.exitCode === 0) return [];
  return [`${path} was not made, and is left to the first start: ${own.said.at(-1) ?? 'no reason given'}`];
}

/** Shows the new root below itself by the name it has here, so that paths which a boot builder was given stay good. */
async function atItsOwnPlace<T>(run: ProcessRunner, root: string, work: () => Promise<T>): Promise<T> {
  const inside = join(root, root);
  await mkdir(inside, { recursive: true });
  await mount(run, '--rbind', root, inside);
  await mount(run, '--make-rslave', inside);
  try {
    return await work();
  } finally {
    const gone = await run('umount', ['--recursive', inside], { timeout: 60_000 });
    if (gone.exitCode === 0) await rmdir(inside).catch(() => undefined);
  }
}
