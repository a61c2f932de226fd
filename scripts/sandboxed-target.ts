/**
 * A target machine in a folder, for the demo and the tests: a Nix store and a nix-daemon of its own, /run and /boot
 * of its own, all behind a private mount namespace (scripts/sandbox). Nix trusts nobody there: the agent is a
 * client like any other, even where it runs as root.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const checkout = new URL('..', import.meta.url).pathname;
const sandbox = join(checkout, 'scripts', 'sandbox');
const main = join(checkout, 'src', 'cli', 'main.ts');

/** This machine in Nix's words. */
export const nixSystem = `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux`;

/** Programs started so end with the process that started them, however that ends (prctl(2), PR_SET_PDEATHSIG). */
const mortal = ['--pdeathsig', 'TERM'];

/** The sample flake, its machines of this machine's kind. */
export async function copySample(folder: string): Promise<void> {
  await cp(join(checkout, 'sample'), folder, { recursive: true });
  const path = join(folder, 'system.nix');
  await writeFile(path, (await readFile(path, 'utf8')).replace('"x86_64-linux"', `"${nixSystem}"`));
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: Buffer | string;
  readonly cwd?: string;
}

/** Runs a program to its end and keeps what it says. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A child that refuses early closes its input; that is its right.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout, stderr };
}

/** The builder: the command line on a store of its own under `root`. */
export interface Builder {
  nixmaker(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Any program in the builder's namespace. */
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
}

const nixConf = (extra: string) => `experimental-features = nix-command flakes
build-users-group =
sandbox = false
filter-syscalls = false
build-hook =
substituters =
connect-timeout = 2
warn-dirty = false
${extra}`;

export async function makeBuilder(root: string): Promise<Builder> {
  await mkdir(join(root, 'etc'), { recursive: true });
  await writeFile(join(root, 'etc', 'nix.conf'), nixConf(''));
  const inside = (command: readonly string[], options: RunOptions = {}) =>
    run(sandbox, [root, ...command], {
      ...options,
      env: { NIX_CONF_DIR: join(root, 'etc'), ...options.env },
    });
  return { run: inside, nixmaker: (args, options) => inside([process.execPath, main, ...args], options) };
}

export interface TargetOptions {
  readonly host: string;
  readonly trustedKeys: readonly string[];
  /** Keys Nix's own daemon trusts; the same unless a test wants otherwise. */
  readonly nixKeys?: readonly string[];
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Lines for the daemon's nix.conf. */
  readonly nixConf?: string;
}

export interface Target {
  readonly root: string;
  readonly inbox: string;
  readonly stateDirectory: string;
  readonly policyFile: string;
  readonly settingsFile: string;
  /** Any program in the target's namespace. */
  run(command: readonly string[], options?: RunOptions): Promise<Ran>;
  nixmaker(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** The command line, with the settings file given. */
  verb(verb: string, args?: readonly string[], options?: RunOptions): Promise<Ran>;
  /** @param program another main than the sources', and what its environment has besides */
  startAgent(program?: AgentProgram): Promise<RunningAgent>;
  validPaths(): Promise<string[]>;
  /** /run/current-system and the profile's generation, read from outside. */
  currentSystem(): Promise<string | undefined>;
  profile(): Promise<string | undefined>;
  startDaemon(): Promise<void>;
  stopDaemon(): Promise<void>;
  restartDaemon(): Promise<void>;
  /** Ends the daemon and whatever it does for its clients, at once. */
  killDaemon(): Promise<void>;
  close(): Promise<void>;
}

export interface AgentProgram {
  readonly main: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningAgent {
  readonly child: ChildProcess;
  /** Log lines as they were written. */
  readonly log: () => readonly Record<string, unknown>[];
  /** Resolves with the first line that fits; rejects when the agent ends before, or after `within` ms (30 s). */
  waitFor(
    fits: (line: Record<string, unknown>) => boolean,
    within?: number,
  ): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

export async function makeTarget(root: string, options: TargetOptions): Promise<Target> {
  const etc = join(root, 'etc');
  const inbox = join(root, 'inbox');
  const stateDirectory = join(root, 'state');
  const policyFile = join(etc, 'policy.json');
  const settingsFile = join(etc, 'settings.json');
  for (const folder of [etc, inbox, join(root, 'tmp')]) await mkdir(folder, { recursive: true });
  const keys = (options.nixKeys ?? options.trustedKeys).join(' ');
  await writeFile(
    join(etc, 'nix.conf'),
    nixConf(`trusted-users =\ntrusted-public-keys = ${keys}\n${options.nixConf ?? ''}`),
  );
  await writeFile(
    policyFile,
    JSON.stringify(
      {
        schema: 1,
        host: options.host,
        operation: 'switch',
        trustedKeys: options.trustedKeys,
        ...options.policy,
      },
      null,
      2,
    ),
  );
  const settings = {
    inbox,
    stateDirectory,
    policyFile,
    runtimeDirectory: join(root, 'runtime'),
    activation: 'direct',
    inboxRest: 0.2,
  };
  await writeFile(settingsFile, JSON.stringify({ ...settings, ...options.settings }, null, 2));

  const env = { NIX_CONF_DIR: etc, TMPDIR: join(root, 'tmp'), HOME: root };
  const inside = (command: readonly string[], o: RunOptions = {}) =>
    run(sandbox, [root, ...command], { ...o, env: { ...env, ...o.env } });
  const nixmaker = (args: readonly string[], o?: RunOptions) => inside([process.execPath, main, ...args], o);
  let daemon: ChildProcess | undefined;
  const agents: RunningAgent[] = [];

  const target: Target = {
    root,
    inbox,
    stateDirectory,
    policyFile,
    settingsFile,
    run: inside,
    nixmaker,
    verb: (verb, args = [], o = {}) => nixmaker([verb, '--settings', settingsFile, ...args], o),
    startAgent: async (program = { main }) => {
      const agent = await startAgent(root, { program, settingsFile, env: { ...env, ...program.env } });
      agents.push(agent);
      return agent;
    },
    validPaths: async () => {
      const listed = await inside(['nix', 'path-info', '--store', 'daemon', '--all']);
      if (listed.code !== 0) throw new Error(listed.stderr);
      return listed.stdout
        .split('\n')
        .filter((line) => line !== '')
        .sort();
    },
    currentSystem: () => readlink(join(root, 'run', 'current-system')).catch(() => undefined),
    profile: () => readlink(join(root, 'nix/var/nix/profiles/system')).catch(() => undefined),
    startDaemon: async () => {
      const socket = join(root, 'nix/var/nix/daemon-socket/socket');
      await rm(socket, { force: true });
      const started = spawn('setpriv', [...mortal, sandbox, root, 'nix-daemon'], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'ignore', 'ignore'],
      });
      daemon = started;
      while (!existsSync(socket)) {
        if (started.exitCode !== null) throw new Error('nix-daemon did not start');
        await sleep(20);
      }
    },
    stopDaemon: async () => {
      if (daemon === undefined) return;
      const stopping = daemon;
      daemon = undefined;
      if (stopping.exitCode !== null || stopping.signalCode !== null) return;
      stopping.kill('SIGTERM');
      await once(stopping, 'exit');
    },
    restartDaemon: async () => {
      await target.stopDaemon();
      await target.startDaemon();
    },
    killDaemon: async () => {
      if (daemon?.pid === undefined) return;
      await run('pkill', ['-KILL', '-P', String(daemon.pid)]);
      await target.stopDaemon();
    },
    close: async () => {
      for (const agent of agents) await agent.stop();
      await target.stopDaemon();
    },
  };
  await target.startDaemon();
  return target;
}

async function startAgent(
  root: string,
  {
    program,
    settingsFile,
    env,
  }: { program: AgentProgram; settingsFile: string; env: Readonly<Record<string, string>> },
): Promise<RunningAgent> {
  const call = [process.execPath, program.main, 'agent', '--settings', settingsFile];
  const args = [...mortal, sandbox, root, ...call];
  const child = spawn('setpriv', args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  let partial = '';
  const listeners = new Set<() => void>();
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const parts = (partial + text).split('\n');
    partial = parts.pop() ?? '';
    for (const part of parts)
      lines.push(part.startsWith('{') ? JSON.parse(part) : { event: 'raw', text: part });
    for (const listener of listeners) listener();
  });
  child.once('close', () => {
    for (const listener of listeners) listener();
  });
  const waitFor: RunningAgent['waitFor'] = (fits, within = 30_000) =>
    new Promise((resolve, reject) => {
      const give = (error: Error | undefined, found?: Record<string, unknown>) => {
        clearTimeout(deadline);
        listeners.delete(look);
        if (found === undefined) reject(error);
        else resolve(found);
      };
      const look = () => {
        const found = lines.find(fits);
        const ended = child.exitCode !== null || child.signalCode !== null;
        if (found !== undefined) give(undefined, found);
        else if (ended) give(new Error(`the agent ended: ${JSON.stringify(lines.slice(-5))}`));
      };
      const deadline = setTimeout(
        () => give(new Error(`the agent did not say so: ${JSON.stringify(lines)}`)),
        within,
      );
      listeners.add(look);
      look();
    });
  const agent: RunningAgent = {
    child,
    log: () => lines,
    waitFor,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      await once(child, 'close');
    },
  };
  await waitFor((line) => line.event === 'agent-ready');
  return agent;
}
