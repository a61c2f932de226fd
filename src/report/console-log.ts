/** A run’s events as short lines for a person at the command line; the agent logs them with pino instead. */
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

export interface ConsoleLogOptions {
  readonly verbose: boolean;
  /** Each line begins with the bundle’s name: for several runs, one after another. */
  readonly named?: boolean;
}

export function makeConsoleLog(
  write: (text: Lines) => void,
  { verbose, named = false }: ConsoleLogOptions,
): EventSink {
  let source = '';
  return ({ event, level, transaction: _transaction, ...fields }) => {
    if (typeof fields.source === 'string') source = fields.source.split('/').at(-1) ?? '';
    const of = named && source !== '' ? `${source}: ` : '';
    const sentence = sentences[event];
    if (sentence !== undefined) write(lines`${of}${sentence}\n`);
    else if (event === 'notice') write(lines`note: ${of}${messageOf(fields.text)}\n`);
    else if (named && event === 'passed-over')
      write(lines`note: ${of}${String(fields.code)}: ${messageOf(fields.detail ?? '')}\n`);
    else if (verbose && level !== 'debug') write(lines`${event} ${JSON.stringify(fields)}\n`);
  };
}
