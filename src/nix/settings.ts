/** Which Nix this is, how it is set, and whether it answers. */
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { legacyNix, type NixContext, nix } from './command.ts';

/** The system this Nix builds for, `x86_64-linux`; also tells whether Nix can be started at all. */
export async function currentSystem(context: NixContext): Promise<string> {
  const { store: _, ...local } = context;
  return (await nix(local, ['config', 'show', 'system'])).trim();
}

/** What Nix says of itself: `nix-store (Nix) 2.34.8`. */
export async function nixVersion(context: NixContext): Promise<string> {
  const { store: _, ...local } = context;
  return (await legacyNix(local, { program: 'nix-store', args: ['--version'] })).trim();
}

/** @throws NixmakerError `nix-too-old` */
export async function requireRecentNix(context: NixContext): Promise<void> {
  const version = await nixVersion(context);
  if (!isRecentNix(version)) {
    const oldest = limits.oldestNix.join('.');
    throw new NixmakerError('nix-too-old', `it says “${version}”, and ${oldest} is needed`);
  }
}

/** @param version what `nix-store --version` says: `nix-store (Nix) 2.34.8` */
export function isRecentNix(version: string): boolean {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  const [oldestMajor, oldestMinor] = limits.oldestNix;
  return Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor);
}

/** A setting as Nix's configuration has it, in its words: `true`, a list. */
export async function nixSetting(context: NixContext, name: string): Promise<string> {
  const { store: _, ...local } = context;
  return (await nix(local, ['config', 'show', name])).trim();
}

/** The public keys whose signatures Nix takes, in its text form, as its own configuration has them. */
export async function trustedKeysOf(context: NixContext): Promise<string[]> {
  return (await nixSetting(context, 'trusted-public-keys')).split(/\s+/).filter((key) => key !== '');
}

/** @throws NixmakerError `nix-unavailable` where the store does not answer */
export async function pingStore(context: NixContext): Promise<void> {
  await nix(context, ['store', 'info'], { failure: 'nix-unavailable' });
}
