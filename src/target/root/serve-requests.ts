/** The one server of the agent’s requests, of whatever kind. */
import { NixmakerError } from '../../core/errors.ts';
import type { RequestKind, Serving } from '../../state/requests.ts';
import { serveRequests } from '../../state/requests.ts';
import type { Machine } from '../machine/machine.ts';

export type Serve<Request> = (request: Request, serving: Serving) => Promise<void>;

/** Of one start, each time as many as are read at once. The unit is started again for the rest, and others get their turn. */
const mostBatches = 4;

/**
 * Serves what is asked for. What is no request is told, and is gone by then.
 * @throws NixmakerError `io-error` at the end, where something could not be put out of the path unit’s sight: it would start us again
 * at once, and a service that fails is started after a pause
 */
export async function serveAll<Request>(
  machine: Pick<Machine, 'requestsDirectory' | 'emit'>,
  kind: RequestKind<Request>,
  serve: Serve<Request>,
): Promise<void> {
  const reject = (name: string, detail: string) => tellRejected(machine, name, detail);
  const left = new Set<string>();
  const stuck = (name: string) => void left.add(name);
  for (let batch = 0; batch < mostBatches; batch++)
    if ((await serveRequests(machine.requestsDirectory, kind, { reject, serve, stuck })) === 0) break;
  const [first] = left;
  if (first !== undefined)
    throw new NixmakerError('io-error', `${kind.folder}/${first} can be neither removed nor renamed`);
}

export function tellRejected({ emit }: Pick<Machine, 'emit'>, name: string, detail: string): void {
  emit({ event: 'request-rejected', level: 'warn', name, detail });
}
