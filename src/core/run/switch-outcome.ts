/**
 * What an exit of switch-to-configuration means (nixpkgs pkgs/by-name/sw/switch-to-configuration-ng/src/main.rs). Its exit code alone
 * isn’t enough: after a fault it ends with whatever error number was left, and failed units hide an activation
 * script that failed. So its output counts too.
 */
export type SwitchOutcome =
  | 'done'
  /** Exit 4: the system is switched, but a unit failed, perhaps an unrelated one. */
  | 'units-failed'
  /** Exit 100: init can't be replaced while running; the boot loader is updated. */
  | 'reboot-needed'
  /** Exit 11 and its message: another switch holds the lock; nothing was done. */
  | 'lock-held'
  /** Exit 2, or 4 in its place: the activation script failed midway. */
  | 'activation-script-failed'
  /** Exit 101, a signal, or a program that could not be started. */
  | 'crashed'
  | 'hung'
  /** Exit 1 and any other: refused before anything was done, or given up midway. There is no telling which. */
  | 'not-finished';

export interface SwitchEnd {
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  /** All that is left of its output, line by line. */
  readonly said: readonly string[];
}

/** NixOS's activation script names each of its parts that failed (nixpkgs, activation-script.nix). */
const scriptFailed = /^Failed to run activate script|^Activation script snippet '.*' failed/;

export function classifySwitch({ exitCode, timedOut, said }: SwitchEnd): SwitchOutcome {
  if (timedOut) return 'hung';
  const says = (pattern: RegExp) => said.some((line) => pattern.test(line));
  switch (exitCode) {
    case 0:
      return 'done';
    case 2:
      return 'activation-script-failed';
    case 4:
      return says(scriptFailed) ? 'activation-script-failed' : 'units-failed';
    case 11:
      return says(/^could not acquire lock/i) ? 'lock-held' : 'not-finished';
    case 100:
      return 'reboot-needed';
    case 101:
    case undefined:
      return 'crashed';
    default:
      return 'not-finished';
  }
}

const reasons = [
  /^Pre-switch check '.*' failed/,
  scriptFailed,
  /^Failed to /,
  /^Unable to /,
  /^warning: the following (?:user )?units failed/,
  /^(?:error|Error): /,
];

/** The line that says why: the switcher’s own message, causes before their consequences; else its last line. */
export function reasonIn(said: readonly string[]): string | undefined {
  for (const reason of reasons) {
    const found = said.find((line) => reason.test(line));
    if (found !== undefined) return found;
  }
  return said.at(-1);
}

/**
 * The pre-switch check that said no, if the switcher names it (nixpkgs, pre-switch-check.nix). It runs them in the order of their
 * names and stops at the first failure.
 */
export function failedCheck(said: readonly string[]): string | undefined {
  for (const line of said) {
    const name = /^Pre-switch check '(.*)' failed/.exec(line)?.[1];
    if (name !== undefined) return name;
  }
  return undefined;
}
