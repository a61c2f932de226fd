/** What a program opens, by strace(1): tests of what root must not be led to. */
import { readFile, rm } from 'node:fs/promises';
import { run } from '../machines/program.ts';

/** @throws Error where it is not there: a test that sees nothing finds nothing */
export async function requireStrace(): Promise<void> {
  const asked = await run('strace', ['--version']).catch(() => undefined);
  if (asked?.code !== 0)
    throw new Error('strace can’t be used: run this test with scripts/test, which fetches it');
}

/** A file that was opened, or a socket that was connected to; pins (O_PATH) open nothing, and are left out. */
export interface Opened {
  /** Where it really is. */
  readonly path: string;
  readonly writes: boolean;
  /** As strace has it. */
  readonly line: string;
}

export interface Straced {
  /** With what each command ended; 124 where it did not in its time. */
  readonly codes: readonly number[];
  readonly said: string;
  /** What each of them opened. */
  readonly opened: readonly (readonly Opened[])[];
  /** What each of them tried to open, as strace has it. */
  readonly calls: readonly (readonly string[])[];
}

const traced = 'open,openat,openat2,creat,connect';

/** A file that the shell opens between two commands, by which their traces are told apart. */
const mark = '/dev/null/next';

/**
 * Runs commands one after the other, with all they start, each for at most so many seconds.
 * @param within what a shell is started by
 */
export async function straced(
  commands: readonly string[],
  {
    within,
    log,
    seconds,
  }: { readonly within: readonly string[]; readonly log: string; readonly seconds: number },
): Promise<Straced> {
  const flags = ['-f', '-qq', '-y', '--seccomp-bpf', '-s', '4096', '-e', `trace=${traced}`, '-o', log];
  const steps = commands.map(
    (command) => `timeout --kill-after=5 ${seconds} ${command} >&2; echo $?; true <${mark}`,
  );
  const ran = await run('strace', [...flags, ...within, 'sh', '-c', steps.join('\n')]);
  const calls: string[][] = [[]];
  for (const call of wholeCalls(await readFile(log, 'utf8')))
    if (call.includes(`"${mark}"`)) calls.push([]);
    else calls.at(-1)?.push(call);
  await rm(log);
  const codes = ran.stdout.trim().split('\n').map(Number);
  return { codes, said: ran.stderr, calls, opened: calls.map((its) => its.flatMap(openedByCall)) };
}

/** With -y a descriptor is `17</where/it/is>`; what failed has none. */
export const openedBy = (log: string): Opened[] => wholeCalls(log).flatMap(openedByCall);

function openedByCall(line: string): Opened[] {
  const socket = /\bconnect\(.*sun_path="([^"]+)"/.exec(line);
  if (socket !== null) return / = 0$/.test(line) ? [{ path: socket[1] as string, writes: true, line }] : [];
  const path = /\b(?:open|openat|openat2|creat)\(.* = \d+<(.*)>$/.exec(line)?.[1];
  if (path === undefined || /\bO_PATH\b/.test(line)) return [];
  return [{ path, writes: /\bO_(WRONLY|RDWR|CREAT|TRUNC)\b|\bcreat\(/.test(line), line }];
}

/** A call that another thread’s came between is in two lines, each with the thread’s number in front. */
export function wholeCalls(log: string): string[] {
  const begun = new Map<string, string>();
  return log.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    if (call.endsWith('<unfinished ...>')) {
      begun.set(thread, call.slice(0, -'<unfinished ...>'.length));
      return [];
    }
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)?.[1];
    return [rest === undefined ? call : `${begun.get(thread) ?? ''}${rest}`];
  });
}
