/** What a person at the desk is told in the place of what is for a machine that takes bundles (catalogue.ts): nothing is tried again there. */
import { catalogue } from './catalogue.ts';
import type { ReasonCode } from './errors.ts';

export type Side = 'desk' | 'machine';

interface Texts {
  readonly what: string;
  readonly next: string;
}

export const atTheDesk: Readonly<Partial<Record<ReasonCode, Partial<Texts>>>> = {
  'not-decryptable': {
    what: 'The bundle is encrypted, and only its hosts can read it.',
    next: 'Name the bundle that it was made from, without `.age`.',
  },
  'signature-unknown-key': {
    what: 'It is signed, but by none of the keys that were given.',
    next: 'Give the key that should have signed it, or have it signed: `nixmaker sign --key FILE BUNDLE`.',
  },
  'keyring-untrusted': { what: 'The keyring is signed by nobody, or by too few.' },
  'closure-incomplete': {
    next: 'Build the bundle again with `nixmaker build`. A cache for `pack` must hold all of the system: `nix copy --to "file:///FOLDER?compression=zstd" SYSTEM`.',
  },
  'sequence-conflict': {
    what: 'There is another bundle of this host with the same sequence already.',
    next: 'Find out which is the right one. Build again with a higher sequence (`--sequence`), or take the other away.',
  },
  busy: { next: 'Wait for it to finish, then run the command again.' },
  interrupted: { next: 'Run the command again.' },
  'nix-unavailable': {
    next: 'Check that Nix runs here (`nix store info`, `systemctl status nix-daemon`), then run the command again.',
  },
  'nix-too-old': {
    what: 'The Nix of this desk is older than nixmaker can work with.',
    next: 'Install Nix 2.24 or newer, then run the command again.',
  },
  'no-space': {
    next: 'Free space (in the Nix store: `nix-collect-garbage`), or name another place, then run the command again.',
  },
  'medium-unreadable': {
    next: 'Plug it in and mount it again, then run the command again. If it happens again, use another medium.',
  },
  'store-corrupt': {
    what: 'Store paths of this desk are damaged.',
    next: 'As root: `nix-store --verify --check-contents --repair`, then run the command again.',
  },
};

export const textsFor = (code: ReasonCode, side: Side): Texts =>
  side === 'desk' ? { ...catalogue[code], ...atTheDesk[code] } : catalogue[code];
