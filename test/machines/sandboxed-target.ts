/**
 * A target machine in a folder, for the demo and the tests: a Nix store and a nix-daemon of its own, /run and /boot
 * of its own, all behind a private mount namespace (tools/set-up/sandbox). Nix trusts nobody there: the agent is a
 * client like any other, even where it runs as root.
 */
import { mkdir, readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type AgentProgram, type RunningAgent, startAgent } from './agent.ts';
import { nixConf } from './builder.ts';
import { main } from './compiled.ts';
import { Daemon } from './daemon.ts';
import { Namespace } from './namespace.ts';
import { mortal, type Ran, type RunOptions, run } from './program.ts';

export interface TargetOptions {
  readonly host: string;
  readonly trustedKeys: readonly string[];
  /** Keys Nix's own daemon trusts; the same unless a test wants otherwise. */
  readonly nixKeys?: readonly string[];
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Lines for the daemon's nix.conf. */
  readonly nixConf?: string;
  /** The folder of a target that has been closed: it begins with a copy of all there is. */
  readonly copyOf?: string;
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
  /** How another program is started in there, and what its environment has; it ends with the caller. */
  command(command: readonly string[]): readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
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

interface Places {
  readonly etc: string;
  readonly inbox: string;
  readonly stateDirectory: string;
  readonly policyFile: string;
  readonly settingsFile: string;
}

async function layOut(root: string, options: TargetOptions): Promise<Places> {
  const etc = join(root, 'etc');
  const places: Places = {
    etc,
    inbox: join(root, 'inbox'),
    stateDirectory: join(root, 'state'),
    policyFile: join(etc, 'policy.json'),
    settingsFile: join(etc, 'settings.json'),
  };
  const { inbox, stateDirectory, policyFile, settingsFile } = places;
  for (const folder of [etc, inbox, join(root, 'tmp')]) await mkdir(folder, { recursive: true });
  const keys = (options.nixKeys ?? options.trustedKeys).join(' ');
  await writeFile(
    join(etc, 'nix.conf'),
    nixConf(`trusted-users =\ntrusted-public-keys = ${keys}\n${options.nixConf ?? ''}`),
  );
  const { host, trustedKeys, policy } = options;
  await writeJson(policyFile, { schema: 1, host, operation: 'switch', trustedKeys, ...policy });
  const settings = {
    inbox,
    stateDirectory,
    policyFile,
    runtimeDirectory: join(root, 'runtime'),
    // Whatever a test does, nothing of this machine’s own nixmaker, if it has one.
    activationDirectory: join(root, 'activation'),
    fetchDirectory: join(root, 'fetched'),
    activation: 'direct',
    inboxRest: 0.2,
  };
  await writeJson(settingsFile, { ...settings, ...options.settings });
  return places;
}

const writeJson = (path: string, value: unknown) => writeFile(path, JSON.stringify(value, null, 2));

export async function makeTarget(root: string, options: TargetOptions): Promise<Target> {
  if (options.copyOf !== undefined) {
    const copied = await run('cp', ['--archive', '--reflink=auto', options.copyOf, root]);
    if (copied.code !== 0) throw new Error(copied.stderr);
  }
  const { etc, ...places } = await layOut(root, options);
  const { settingsFile } = places;
  const namespace = await Namespace.open(root);
  const env = { PATH: namespace.path, NIX_CONF_DIR: etc, TMPDIR: join(root, 'tmp'), HOME: root };
  const inside = (command: readonly string[], o: RunOptions = {}) =>
    namespace.run(command, { ...o, env: { ...env, ...o.env } });
  const nixmaker = (args: readonly string[], o?: RunOptions) => inside([process.execPath, main, ...args], o);
  const daemon = new Daemon(namespace, { env, socket: join(root, 'nix/var/nix/daemon-socket/socket') });
  const agents: RunningAgent[] = [];

  const target: Target = {
    root,
    ...places,
    run: inside,
    nixmaker,
    verb: (verb, args = [], o = {}) => nixmaker([verb, '--settings', settingsFile, ...args], o),
    command: (command) => namespace.enter([...mortal, ...command]),
    env,
    startAgent: async (program = { main }) => {
      const call = [process.execPath, program.main, 'agent', '--settings', settingsFile];
      const agent = await startAgent(target.command(call), { ...env, ...program.env });
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
    startDaemon: () => daemon.start(),
    stopDaemon: () => daemon.stop(),
    restartDaemon: async () => {
      await daemon.stop();
      await daemon.start();
    },
    killDaemon: () => daemon.kill(),
    close: async () => {
      for (const agent of agents) await agent.stop();
      await daemon.stop();
      namespace.close();
    },
  };
  await daemon.start();
  return target;
}
