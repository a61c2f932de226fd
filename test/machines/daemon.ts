/** A nix-daemon in a sandbox. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from './namespace.ts';
import { mortal, run } from './program.ts';

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

export class Daemon {
  readonly #namespace: Namespace;
  readonly #env: Readonly<Record<string, string>>;
  readonly #socket: string;
  #child: ChildProcess | undefined;

  constructor(
    namespace: Namespace,
    { env, socket }: { readonly env: Readonly<Record<string, string>>; readonly socket: string },
  ) {
    this.#namespace = namespace;
    this.#env = env;
    this.#socket = socket;
  }

  async start(): Promise<void> {
    await rm(this.#socket, { force: true });
    const [program, ...args] = this.#namespace.enter([...mortal, 'nix-daemon']);
    const child = spawn(program, args, { env: { ...process.env, ...this.#env }, stdio: 'ignore' });
    this.#child = child;
    while (!(await this.#listens())) {
      if (hasEnded(child)) throw new Error('nix-daemon did not start');
      await sleep(5);
    }
  }

  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || hasEnded(child)) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }

  /** Ends it and whatever it does for its clients, at once. */
  async kill(): Promise<void> {
    if (this.#child?.pid === undefined) return;
    await run('pkill', ['-KILL', '-P', String(this.#child.pid)]);
    await this.stop();
  }

  #listens(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = connect(this.#socket);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    return promise.finally(() => socket.destroy());
  }
}
