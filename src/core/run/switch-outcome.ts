/**
 * What an exit of switch-to-configuration means (nixpkgs pkgs/by-name/sw/switch-to-configuration-ng/src/main.rs).
 */
export type SwitchOutcome =
  | 'done'
  /** Exit 4: the system is switched, but a unit failed, perhaps an unrelated one. */
  | 'units-failed'
  /** Exit 100: init can't be replaced while running; the boot loader is updated. */
  | 'reboot-needed'
  /** Exit 11 (EAGAIN): another switch holds the lock; nothing was done. */
  | 'lock-held'
  /** Exit 2: the activation script failed midway. */
  | 'activation-script-failed'
  /** Exit 101, a signal, or a program that could not be started. */
  | 'crashed'
  | 'hung'
  /** Exit 1 and any other: refused before anything was done. */
  | 'not-activated';

export function classifySwitch(result: {
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
}): SwitchOutcome {
  if (result.timedOut) return 'hung';
  switch (result.exitCode) {
    case 0:
      return 'done';
    case 2:
      return 'activation-script-failed';
    case 4:
      return 'units-failed';
    case 11:
      return 'lock-held';
    case 100:
      return 'reboot-needed';
    case 101:
    case undefined:
      return 'crashed';
    default:
      return 'not-activated';
  }
}
