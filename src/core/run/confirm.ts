/**
 * What to do after a start of the machine about a system that was installed for it. Pure, like resume.ts.
 */

export interface PendingRun {
  readonly toplevel: string;
  /** boot_id of the boot in which it was installed. */
  readonly bootId: string | undefined;
  /** boot_id of the boot in which it was found well, and a person was asked to confirm it. */
  readonly askedIn: string | undefined;
}

export interface StartedMachine {
  readonly bootId: string;
  /** What was booted; unknown on machines that do not report it. */
  readonly booted: string | undefined;
  /** What the profile points to. */
  readonly profile: string | undefined;
  /** The time in which a person had to confirm has passed. */
  readonly late: boolean;
}

export type ConfirmPlan =
  /** Not restarted since, or a person still has time to confirm. */
  | 'wait'
  /** Somebody has installed another system over it. */
  | 'supersede'
  /** It is running: check whether it is well. */
  | 'check'
  /** The machine came up in another system, so this one did not boot. */
  | 'not-booted'
  /** A person had to confirm it, and did not. */
  | 'not-confirmed';

export function planConfirm(run: PendingRun, machine: StartedMachine): ConfirmPlan {
  if (machine.profile !== run.toplevel) return 'supersede';
  if (run.bootId === machine.bootId || machine.booted === undefined) return 'wait';
  if (machine.booted !== run.toplevel) return 'not-booted';
  if (run.askedIn === undefined) return 'check';
  // Restarted instead of confirmed: what a person would do at a machine that went astray.
  if (run.askedIn !== machine.bootId || machine.late) return 'not-confirmed';
  return 'wait';
}
