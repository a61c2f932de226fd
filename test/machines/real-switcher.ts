/**
 * NixOS’s own programs, where the environment names finished ones: NIXMAKER_REAL_SWITCHER (what
 * /run/current-system/bin/switch-to-configuration wraps) and NIXMAKER_REAL_BOOT_BUILDER. A machine has them in /opt/nixos, where the samples’
 * wrapper looks.
 */
import { existsSync } from 'node:fs';

const programs = {
  NIXMAKER_REAL_SWITCHER: '/opt/nixos/switch-to-configuration',
  NIXMAKER_REAL_BOOT_BUILDER: '/opt/nixos/install-boot-loader',
};

/** What is to be shown read-only in a bed, FILE:PLACE. Says so loudly where a real one is not run. */
export function realSwitcher(): string[] {
  return Object.entries(programs).flatMap(([name, place]) => {
    const program = process.env[name];
    if (program === undefined || program === '') {
      process.stdout.write(`# not run with the real one: ${name} is not set\n`);
      return [];
    }
    if (!existsSync(program)) throw new Error(`${name}: there is no ${program}`);
    return [`${program}:${place}`];
  });
}
