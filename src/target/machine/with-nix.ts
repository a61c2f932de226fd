/** The same machine with another way to its Nix. */
import type { NixContext } from '../../nix/command.ts';
import type { Machine } from './machine.ts';

/** What it works out anew each time it is asked for, such as its policy, it goes on working out. */
export function withNix<M extends Pick<Machine, 'nix'>>(machine: M, nix: NixContext): M {
  const all = { ...Object.getOwnPropertyDescriptors(machine), nix: { value: nix, enumerable: true } };
  return Object.defineProperties({}, all) as M;
}
