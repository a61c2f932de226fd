/** What hosts have told this desk about the keys that things for them are encrypted to: by receipts signed with their enrolled keys. */
import { NixmakerError } from '../../core/errors.ts';
import { type FleetHost, readFleet } from './fleet.ts';

export interface ToldKeys {
  readonly host: string;
  /** `ssh-ed25519 AAAA…`; for secrets that the system decrypts (agenix, sops-nix). */
  readonly sshHostKey: string | undefined;
  /** `age1…`; for whole bundles, and for nothing else: the agent has the key. */
  readonly ageRecipients: readonly string[];
}

const keysOf = ({ host, last }: FleetHost): ToldKeys => ({
  host,
  sshHostKey: last?.now?.sshHostKey,
  ageRecipients: last?.ageRecipients ?? [],
});

/** @param wanted all, if empty @throws NixmakerError `host-key-unknown` for one that this desk has no receipt of */
export async function readToldKeys(directory: string, wanted: readonly string[]): Promise<ToldKeys[]> {
  const { hosts } = await readFleet(directory);
  if (wanted.length === 0) return hosts.map(keysOf);
  return wanted.map((name) => {
    const found = hosts.find(({ host, last }) => host === name && last !== undefined);
    if (found === undefined)
      throw new NixmakerError(
        'host-key-unknown',
        `there is no receipt of ${name} in ${directory} that counts`,
      );
    return keysOf(found);
  });
}

/** @throws NixmakerError `host-key-unknown` for a host without any */
export async function recipientsOfHosts(directory: string, hosts: readonly string[]): Promise<string[]> {
  if (hosts.length === 0) return [];
  return (await readToldKeys(directory, hosts)).flatMap(({ host, ageRecipients }) => {
    if (ageRecipients.length === 0)
      throw new NixmakerError('host-key-unknown', `the newest receipt of ${host} has no age recipient`);
    return ageRecipients;
  });
}
