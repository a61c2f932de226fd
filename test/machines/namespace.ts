/**
 * The private mount namespace of tools/set-up/sandbox, made once for a folder and entered by every program: making it is
 * dozens of mounts. It lives as long as this process or until it is closed; nothing has to be ended for that.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { checkout, type Ran, type RunOptions, run } from './program.ts';

export class Namespace {
  /** The PATH of programs in it. */
  readonly path: string;
  readonly #files: { readonly mount: number; readonly user?: number };
  #isOpen = true;

  private constructor(path: string, files: { readonly mount: number; readonly user?: number }) {
    this.path = path;
    this.#files = files;
  }

  /** Here /nix, /run and /boot are the folders of these names in `root`. */
  static async open(root: string): Promise<Namespace> {
    const maker = [root, 'sh', '-c', 'printf "%s" "$PATH"; read -r _'];
    const child = spawn(join(checkout, 'tools/set-up/sandbox'), maker, {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    const said = await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), closed]);
    if (child.exitCode !== null) throw new Error(`there is no sandbox in ${root}`);
    const at = (name: string) => openSync(`/proc/${child.pid}/ns/${name}`, 'r');
    const files = { mount: at('mnt'), ...(process.getuid?.() === 0 ? {} : { user: at('user') }) };
    child.stdin.end();
    await closed;
    return new Namespace(said[0] as string, files);
  }

  /** A command line that runs the command in there, in the working directory of that name. */
  enter(command: readonly string[], cwd = process.cwd()): readonly [string, ...string[]] {
    if (!this.#isOpen) throw new Error('this machine has been closed');
    const file = (fd: number) => `/proc/${process.pid}/fd/${fd}`;
    const { mount, user } = this.#files;
    const asRoot = user === undefined ? [] : [`--user=${file(user)}`, '--preserve-credentials'];
    return ['nsenter', ...asRoot, `--mount=${file(mount)}`, `--wdns=${cwd}`, '--', ...command];
  }

  run(command: readonly string[], { cwd, env, ...options }: RunOptions = {}): Promise<Ran> {
    const [program, ...args] = this.enter(command, cwd);
    return run(program, args, { ...options, env: { PATH: this.path, ...env } });
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const file of Object.values(this.#files)) closeSync(file);
  }
}
