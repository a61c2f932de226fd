/** Wires up a user’s session. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Settings } from '../../core/policy/settings.ts';
import type { EventSink } from '../../core/ports.ts';
import { systemClock } from '../../process/clock.ts';
import { runProgram } from '../../process/run.ts';
import { languageOf } from '../../report/desktop-words.ts';
import type { Session } from './screen.ts';

/** @param env `STATE_DIRECTORY` is the unit’s (systemd.exec(5)); otherwise the XDG Base Directory Specification’s */
export function openSession(settings: Settings, env: NodeJS.ProcessEnv, emit: EventSink): Session {
  const states = env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state');
  return {
    settings,
    run: runProgram,
    clock: systemClock,
    emit,
    language: languageOf(env),
    stateDirectory: env.STATE_DIRECTORY ?? join(states, 'nixmaker'),
  };
}
