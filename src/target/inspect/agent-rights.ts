/**
 * What the agent may do, asked with the agent’s own rights: what root can read, and how the Nix daemon answers root, says nothing about it.
 * Reads only.
 */
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { messageOf } from '../../core/errors.ts';
import { withForeign } from '../../files/foreign.ts';
import { namesIn } from '../../files/read.ts';
import { nixSetting, pingStore } from '../../nix/settings.ts';
import type { Machine } from '../machine/machine.ts';
import { bad, type Found, look, ok } from './found.ts';

type Asked = Pick<
  Machine,
  'agentDirectory' | 'floorDirectory' | 'nix' | 'requestsDirectory' | 'role' | 'run' | 'settings' | 'files'
>;

/** Names what can’t be read (`r:`) or written to (`w:`), one per line. */
const probe = `for each; do
  path=\${each#?:}
  case $each in
    w:*) [ -w "$path" ] && [ -x "$path" ] || echo "cannot write to $path" ;;
    *) [ -r "$path" ] && { [ ! -d "$path" ] || [ -x "$path" ]; } || echo "cannot read $path" ;;
  esac
done`;

/** What it can’t do; the first such thing explains the rest. */
const mostNamed = 3;

export async function checkAgentRights(machine: Asked): Promise<Found> {
  if (machine.role === 'direct') return ok('the agent runs as whoever starts it (`activation` is `direct`)');
  if (machine.role === 'agent') return ok('checked with your own permissions, not as root');
  const owner = await withForeign(machine.agentDirectory, (folder) => folder.handle.stat()).catch(
    ifMissing(undefined),
  );
  if (owner === undefined)
    return look(
      `${machine.agentDirectory} is missing: the agent has never started`,
      'Start nixmaker.service.',
    );
  if (owner.uid === 0)
    return look(
      `${machine.agentDirectory} belongs to root: the agent has no user of its own`,
      'Check `User=` in nixmaker.service.',
    );
  const as = asUser(owner);
  const lacking = await askFiles(machine, as);
  if (lacking.length > 0)
    return bad(
      `the agent ${lacking.slice(0, mostNamed).join(', ')}${lacking.length > mostNamed ? ` (and ${lacking.length - mostNamed} more)` : ''}`,
      'Set root’s folders back to mode 0755 and its files to 0644; give the agent’s own back to its user.',
    );
  return askNix(machine, { as, uid: owner.uid });
}

const asUser = ({ uid, gid }: { readonly uid: number; readonly gid: number }): readonly string[] => [
  ...['--reuid', String(uid), '--regid', String(gid), '--init-groups', '--no-new-privs'],
];

/**
 * Whether the agent can read these folders, asked with its own rights. @returns what it can’t do, a sentence each; undefined if the caller
 * is the agent, or the agent has no user of its own
 */
export async function agentCant(
  machine: Pick<Machine, 'agentDirectory' | 'role' | 'run'>,
  folders: readonly string[],
): Promise<readonly string[] | undefined> {
  if (machine.role !== 'root') return undefined;
  const owner = await withForeign(machine.agentDirectory, (folder) => folder.handle.stat()).catch(
    ifMissing(undefined),
  );
  if (owner === undefined || owner.uid === 0) return undefined;
  return probed(
    machine,
    asUser(owner),
    folders.map((path) => `r:${path}`),
  );
}

async function askFiles(machine: Asked, as: readonly string[]): Promise<string[]> {
  const { settings, floorDirectory } = machine;
  const names = await namesIn(floorDirectory);
  const files = names
    .filter((n) => !n.endsWith('.secret') && n !== 'lock')
    .map((n) => join(floorDirectory, n));
  const there = [machine.files.policy ?? settings.policyFile, floorDirectory, ...files];
  const own = [settings.inbox, machine.agentDirectory, machine.requestsDirectory];
  return probed(machine, as, [...there.map((path) => `r:${path}`), ...own.map((path) => `w:${path}`)]);
}

async function probed(
  { run }: Pick<Machine, 'run'>,
  as: readonly string[],
  asked: readonly string[],
): Promise<string[]> {
  const args = [...as, '/bin/sh', '-c', probe, 'sh', ...asked];
  // A folder whose server does not respond.
  const { stdout, exitCode, stderrTail } = await run('setpriv', args, { timeout: 60_000 });
  if (exitCode !== 0) return [`cannot check (setpriv: ${messageOf(stderrTail.join(' '))})`];
  return stdout.split('\n').filter((line) => line !== '');
}

async function askNix(
  { nix, run, agentDirectory }: Asked,
  { as, uid }: { readonly as: readonly string[]; readonly uid: number },
): Promise<Found> {
  const asAgent = {
    ...nix,
    // Our own connection would be root’s.
    daemonSocket: undefined,
    env: { HOME: agentDirectory, XDG_CACHE_HOME: agentDirectory },
    run: ((program, args, options) => run('setpriv', [...as, program, ...args], options)) as typeof run,
  };
  try {
    await pingStore(asAgent);
    return ok('the agent can read root’s state, write its own, and reach Nix');
  } catch (error) {
    // That Nix answers nobody at all is reported elsewhere.
    await pingStore(nix);
    const name = (await run('id', ['-nu', String(uid)])).stdout.trim() || String(uid);
    const allowed = await nixSetting(nix, 'allowed-users');
    return bad(
      `Nix responds to root but not to the agent (${name}): ${messageOf(error)}; \`allowed-users\` is ${allowed}`,
      `Add ${name} to \`nix.settings.allowed-users\`.`,
    );
  }
}
