/** Texts for the desk that replace those for a machine that takes bundles (catalogue.ts): nothing is retried there. */
import { catalogue } from './catalogue.ts';
import type { ReasonCode } from './errors.ts';

export type Side = 'desk' | 'machine';

interface Texts {
  readonly what: string;
  readonly next: string;
}

export const atTheDesk: Readonly<Partial<Record<ReasonCode, Partial<Texts>>>> = {
  'not-decryptable': {
    what: 'The bundle is encrypted; only its hosts can read it.',
    next: 'Name the bundle it was made from, without `.age`.',
  },
  'signature-unknown-key': {
    what: 'It is signed, but not with any of the given keys.',
    next: 'Pass the key that should have signed it, or have it signed: `nixmaker sign --key FILE BUNDLE`.',
  },
  'keyring-untrusted': { what: 'The keyring has no signatures, or too few.' },
  'closure-incomplete': {
    next: 'Build the bundle again with `nixmaker build`. For `pack`, the cache must hold the whole system: `nix copy --to "file:///FOLDER?compression=zstd" SYSTEM`.',
  },
  'sequence-conflict': {
    what: 'Another bundle of this host already has this sequence.',
    next: 'Find out which one is right. Build again with a higher sequence (`--sequence`), or remove the other one.',
  },
  busy: { next: 'Wait for it to finish, then run the command again.' },
  interrupted: { next: 'Run the command again.' },
  'nix-unavailable': {
    next: 'Check that Nix is running here (`nix store info`, `systemctl status nix-daemon`), then run the command again.',
  },
  'nix-too-old': {
    what: 'This desk’s Nix is too old for nixmaker.',
    next: 'Install Nix 2.24 or newer, then run the command again.',
  },
  'no-space': {
    next: 'Free some space (in the Nix store: `nix-collect-garbage`) or choose another place, then run the command again.',
  },
  'medium-unreadable': {
    next: 'Plug it in, mount it again, and run the command again. If that does not help, use another medium.',
  },
  'store-corrupt': {
    what: 'Store paths on this desk are damaged.',
    next: 'As root: `nix-store --verify --check-contents --repair`, then run the command again.',
  },
};

export const textsFor = (code: ReasonCode, side: Side): Texts =>
  side === 'desk' ? { ...catalogue[code], ...atTheDesk[code] } : catalogue[code];
