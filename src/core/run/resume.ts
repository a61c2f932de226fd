/**
 * What to do about a run that stopped midway: killed, crashed, or cut off by a power failure. Pure: what the journal says
 * and what the machine shows go in, one of four things comes out.
 */
import { hasBegunToChange, type State } from './lifecycle.ts';

export interface StoppedRun {
  /** The last state on disk. */
  readonly state: State;
  readonly toplevel: string | undefined;
  /** boot_id when the profile was about to be set. */
  readonly bootId: string | undefined;
}

export interface MachineState {
  readonly bootId: string;
  /** What was booted; unknown on machines that do not report it. */
  readonly booted: string | undefined;
  /** Whether the toplevel is still valid and a system; otherwise only a rollback is left. */
  readonly toplevelUsable: boolean;
}

export type ResumePlan =
  /** Nothing was changed; the bundle, if it is still there, is taken from the beginning. */
  | 'forget'
  /** Repeat what was about to be done, and go on from there. Every effect may run twice. */
  | 'go-on'
  /** The machine has been restarted into the new system: it is in place, and is judged like one installed for a start. */
  | 'confirm'
  /** Restore what was remembered. */
  | 'roll-back';

export function planResume(run: StoppedRun, machine: MachineState): ResumePlan {
  if (!hasBegunToChange(run.state)) return 'forget';
  if (run.state === 'rolling-back' || run.toplevel === undefined || !machine.toplevelUsable)
    return 'roll-back';
  if (run.bootId === machine.bootId) return 'go-on';
  // Restarted. Whichever system the machine came up in, that one can boot: stay with it.
  return machine.booted === run.toplevel ? 'confirm' : 'roll-back';
}
