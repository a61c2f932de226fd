/** Events of a run as short lines for a person at the command line; the agent logs them with pino instead. */
import { messageOf } from '../core/errors.ts';
import { type Lines, lines } from '../core/lines.ts';
import type { EventSink } from '../core/ports.ts';

const sentences: Readonly<Record<string, string>> = {
  verified: 'verified',
  accepted: 'accepted by the policy',
  imported: 'imported into the Nix store',
  realised: 'realised',
  'profile-set': 'setting the system profile',
  'boot-entry': 'writing the boot entry',
  switched: 'switching',
  healthy: 'running',
  'rolling-back': 'restoring the previous system',
};

export function makeConsoleLog(write: (text: Lines) => void, verbose: boolean): EventSink {
  return ({ event, level, transaction: _transaction, ...fields }) => {
    const sentence = sentences[event];
    if (sentence !== undefined) write(lines`${sentence}\n`);
    else if (event === 'notice') write(lines`note: ${messageOf(fields.text)}\n`);
    else if (verbose && level !== 'debug') write(lines`${event} ${JSON.stringify(fields)}\n`);
  };
}
