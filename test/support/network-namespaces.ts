/** Machines in network namespaces of their own, each with one cable to a gateway and no other way out. Root only. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mortal, run } from '../machines/program.ts';

export const gatewayPort = '8471';

interface Network {
  /** How a program is started where the gateway is, and where a machine is. */
  inGateway(command: readonly string[]): readonly string[];
  inMachine(machine: number, command: readonly string[]): readonly string[];
  /** The gateway’s address as that machine sees it: IPv6 for the first two, IPv4 for the others. */
  urlFor(machine: number): string;
  close(): void;
}

const held: ChildProcess[] = [];

async function makeNamespace(): Promise<number> {
  const [program = '', ...args] = [
    ...mortal,
    'unshare',
    '--net',
    'sh',
    '-c',
    'echo ready; exec sleep infinity',
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  held.push(child);
  assert.ok(child.stdout);
  await once(child.stdout, 'data');
  return child.pid as number;
}

async function ip(...args: readonly string[]): Promise<void> {
  const ran = await run('ip', args);
  assert.equal(ran.code, 0, `ip ${args.join(' ')}: ${ran.stderr}`);
}

const within = (pid: number, command: readonly string[]) => [
  'nsenter',
  `--net=/proc/${pid}/ns/net`,
  ...command,
];

async function inside(pid: number, ...command: readonly string[]): Promise<void> {
  const [program = '', ...args] = within(pid, command);
  const ran = await run(program, args);
  assert.equal(ran.code, 0, `${command.join(' ')}: ${ran.stderr}`);
}

export async function namespaces(machines: number): Promise<Network> {
  const gateway = await makeNamespace();
  const pids: number[] = [];
  for (let i = 0; i < machines; i++) {
    const pid = await makeNamespace();
    pids.push(pid);
    await ip(...`link add m${i} netns ${gateway} type veth peer name cable netns ${pid}`.split(' '));
    for (const [where, device, last] of [
      [gateway, `m${i}`, 1],
      [pid, 'cable', 2],
    ] as const) {
      await inside(where, ...`ip addr add fd00:${i + 1}::${last}/64 dev ${device} nodad`.split(' '));
      await inside(where, ...`ip addr add 10.0.${i + 1}.${last}/24 dev ${device}`.split(' '));
      await inside(where, 'ip', 'link', 'set', device, 'up');
    }
  }
  return {
    inGateway: (command) => within(gateway, command),
    inMachine: (machine, command) => within(pids[machine] ?? 0, command),
    urlFor: (i) => `http://${i < 2 ? `[fd00:${i + 1}::1]` : `10.0.${i + 1}.1`}:${gatewayPort}`,
    close: () => {
      for (const child of held) child.kill('SIGKILL');
    },
  };
}
