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
  readonly code: number | null;
  readonly said: string;
  readonly opened: readonly Opened[];
}

const traced = 'open,openat,openat2,creat,connect';

/** Runs a command, with all it starts, to its end or for so many seconds: then the code is 124. */
export async function straced(
  command: readonly string[],
  { log, seconds }: { readonly log: string; readonly seconds: number },
): Promise<Straced> {
  const flags = ['-f', '-qq', '-y', '--seccomp-bpf', '-s', '4096', '-e', `trace=${traced}`, '-o', log];
  const limit = ['timeout', '--kill-after=5', String(seconds)];
  const ran = await run('strace', [...flags, ...limit, ...command]);
  const text = await readFile(log, 'utf8');
  await rm(log);
  return { code: ran.code, said: ran.stdout + ran.stderr, opened: openedBy(text) };
}

/** With -y a descriptor is `17</where/it/is>`; what failed has none. */
export function openedBy(log: string): Opened[] {
  return wholeCalls(log).flatMap((line) => {
    const socket = /\bconnect\(.*sun_path="([^"]+)"/.exec(line);
    if (socket !== null) return / = 0$/.test(line) ? [{ path: socket[1] as string, writes: true, line }] : [];
    const path = /\b(?:open|openat|openat2|creat)\(.* = \d+<(.*)>$/.exec(line)?.[1];
    if (path === undefined || /\bO_PATH\b/.test(line)) return [];
    return [{ path, writes: /\bO_(WRONLY|RDWR|CREAT|TRUNC)\b|\bcreat\(/.test(line), line }];
  });
}

/** A call that another thread’s came between is in two lines, each with the thread’s number in front. */
function wholeCalls(log: string): string[] {
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
