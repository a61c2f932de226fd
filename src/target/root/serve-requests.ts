/** The one server of the agent’s requests, of whatever kind. */
import type { RequestKind, Serving } from '../../state/requests.ts';
import { serveRequests } from '../../state/requests.ts';
import type { Machine } from '../machine/machine.ts';

export type Serve<Request> = (request: Request, serving: Serving) => Promise<void>;

/** Serves what is asked for until there is no more. What is no request is told, and is gone by then. */
export async function serveAll<Request>(
  machine: Pick<Machine, 'requestsDirectory' | 'emit'>,
  kind: RequestKind<Request>,
  serve: Serve<Request>,
): Promise<void> {
  const reject = (name: string, detail: string) => tellRejected(machine, name, detail);
  while ((await serveRequests(machine.requestsDirectory, kind, { reject, serve })) > 0);
}

export function tellRejected({ emit }: Pick<Machine, 'emit'>, name: string, detail: string): void {
  emit({ event: 'request-rejected', level: 'warn', name, detail });
}
