/** The one server for the agent’s requests, whatever their kind. */
import { NixmakerError } from '../../core/errors.ts';
import type { RequestKind, Serving } from '../../state/requests.ts';
import { isAsked, serveRequests } from '../../state/requests.ts';
import type { Machine } from '../machine/machine.ts';

export type Serve<Request> = (request: Request, serving: Serving) => Promise<void>;

/** Batches per start, each as many as are read at once. The unit is started again for the rest, so that others get their turn. */
const mostBatches = 4;

/** Malformed requests reported by name, per start; of the rest only the number is reported. */
const mostTold = 16;

/**
 * Serves requests. Malformed ones, and those beyond the number that may wait, are reported and removed.
 * @throws NixmakerError `io-error` at the end if something could not be moved out of the path unit’s sight: it would start us again at
 * once, whereas a service that fails is started after a pause
 */
export async function serveAll<Request>(
  machine: Pick<Machine, 'requestsDirectory' | 'emit'>,
  kind: RequestKind<Request>,
  serve: Serve<Request>,
): Promise<void> {
  let told = 0;
  let untold = 0;
  let stuck: string | undefined;
  const server = {
    serve,
    reject: (name: string, detail: string) => {
      if (told === mostTold) untold += 1;
      else tellRejected(machine, name, detail);
      told = Math.min(told + 1, mostTold);
    },
    stuck: (name: string) => {
      stuck ??= name;
    },
    passedOver: (count: number) => {
      untold += count;
    },
  };
  try {
    for (let batch = 0; batch < mostBatches; batch++)
      if ((await serveRequests(machine.requestsDirectory, kind, server)) === 0) break;
  } finally {
    if (untold > 0)
      machine.emit({ event: 'requests-passed-over', level: 'warn', kind: kind.folder, count: untold });
  }
  if (stuck !== undefined)
    throw new NixmakerError('io-error', `${kind.folder}/${stuck} can neither be removed nor renamed`);
}

/** Whether requests of any of these kinds wait. */
export const isAnyAsked = (
  { requestsDirectory }: Pick<Machine, 'requestsDirectory'>,
  kinds: Parameters<typeof isAsked>[1],
): Promise<boolean> => isAsked(requestsDirectory, kinds);

export function tellRejected({ emit }: Pick<Machine, 'emit'>, name: string, detail: string): void {
  emit({ event: 'request-rejected', level: 'warn', name, detail });
}
