/** What waits on this machine and why, by the agent’s own record and by a look at the files themselves. Reads only. */
import { catalogue } from '../../core/catalogue.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { needsPerson, type Wait, waitText } from '../../core/run/waits.ts';
import { listInbox } from '../../media/inbox.ts';
import { systemClock } from '../../process/clock.ts';
import { localTimes } from '../../report/local-time.ts';
import { readWaits } from '../../state/waits.ts';
import { runtimeDirectories } from '../machine/machine.ts';
import { accessTo } from '../update/medium-access.ts';
import { unreadableFault } from '../update/unreadable.ts';
import { type Found, look, ok } from './found.ts';

export interface Waiting {
  /** Files in the inbox that have not been archived. */
  readonly files: readonly string[];
  /** What waits, and what can’t be read, with the reason: as the agent recorded it, or as found here. */
  readonly waits: readonly Wait[];
  /** Those in the agent’s record beyond the ones it names. */
  readonly more: number;
}

export async function readWaiting(settings: Settings): Promise<Waiting> {
  const since = systemClock.now().toISOString();
  const met: Wait[] = [];
  const onFault = (path: string, error: unknown) => void met.push({ path, ...unreadableFault(error), since });
  const records = await Promise.all(runtimeDirectories(settings).map(readWaits));
  const isStalled = (path: string) =>
    records.some(({ waits }) => waits.some((w) => w.path === path && w.code === 'medium-stalled'));
  // A process reading what never responds could not even be killed: the kernel waits for a FUSE server that has received the request,
  // whatever happens.
  const within = async <T>(path: string, read: () => Promise<T>) => {
    if (isStalled(path)) throw new NixmakerError('medium-stalled', 'the agent waits for it');
    return accessTo({ clock: systemClock, settings }, { path }).withDeadline(read);
  };
  const files = await listInbox(settings.inbox, { onFault, within });
  const known = new Map([...met, ...records.flatMap(({ waits }) => waits)].map((wait) => [wait.path, wait]));
  return {
    files: files.map((c) => c.path),
    waits: [...known.values()],
    more: records.reduce((sum, { more }) => sum + more, 0),
  };
}

/** Named at most. */
const mostNamed = 5;

/** For `doctor`. */
export async function checkWaiting({ settings }: { readonly settings: Settings }): Promise<Found> {
  const { waits, more } = await readWaiting(settings);
  const bad = waits.filter(({ code }) => needsPerson(code));
  const others = waits.length - bad.length + more;
  if (bad.length === 0)
    return ok(
      others === 0
        ? 'nothing waiting'
        : `${others === 1 ? 'one waiting' : `${others} waiting`}; see \`nixmaker status\``,
    );
  const named = bad
    .slice(0, mostNamed)
    .map((wait) => waitText(wait, localTimes))
    .join('; ');
  const rest = bad.length > mostNamed ? `; and ${bad.length - mostNamed} more` : '';
  const next = [
    'Everything else is still taken.',
    ...(bad.some(({ code }) => code !== 'misnamed')
      ? ['For what cannot be read: mount it again, or check its permissions and its disk.']
      : []),
    ...(bad.some(({ code }) => code === 'misnamed') ? [catalogue.misnamed.next] : []),
  ];
  return look(`${named}${rest}`, next.join(' '));
}
