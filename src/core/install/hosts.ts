/**
 * The table by which a live system knows which host the machine is that it runs on: signed at the desk like a manifest, and matched with
 * what the machine says of itself. Pure.
 */
import { NixmakerError } from '../errors.ts';
import { given } from '../given.ts';
import { describeIssues, hostName, machineId, timestamp } from '../schema.ts';
import * as z from '../zod.ts';

/** The suffix by which `put` knows one; on a medium it is `nixmaker/hosts.json`. */
export const hostsExtension = '.hosts';
export const hostsFile = 'hosts.json';

/** Six bytes, as the kernel writes them. */
const mac = z
  .string()
  .check(z.regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/, 'is not a MAC address in lower case'));

/** What makers leave where a serial number belongs. Threat: thousands of machines with the same one. */
const placeholders =
  /^(?:0+|0?12345678?9?0?|none|n\/?a|unknown|default string|not (?:specified|applicable)|system serial number|to be filled .*|.{0,3})$/i;

const serial = z.string().check(
  z.maxLength(128),
  z.refine((text) => !placeholders.test(text.trim()), 'is no serial number that a machine has to itself'),
);

export const disk = z
  .string()
  .check(z.regex(/^\/dev\/[A-Za-z0-9/_.:+-]{1,200}$/, 'is not a device below /dev'));

const entrySchema = z
  .strictObject({
    host: hostName,
    /** DMI’s product serial number, or the device tree’s. */
    serial: z.optional(serial),
    /** Of any one of its network interfaces. */
    mac: z.optional(mac),
    /** machine-id(5) of the live system, or of one installed before. */
    machineId: z.optional(machineId),
    /** Which disks `--format` may overwrite without anybody typing their names. */
    disks: z.optional(z.array(disk).check(z.minLength(1), z.maxLength(16))),
  })
  .check(
    z.refine((e) => e.serial !== undefined || e.mac !== undefined || e.machineId !== undefined, {
      message: 'has neither serial, mac nor machineId, so it would match no machine',
    }),
  );

const tableSchema = z.strictObject({
  schema: z.literal(1),
  createdAt: timestamp,
  /** From then on it is not believed. */
  expiresAt: z.optional(timestamp),
  /** Whether a live system installs a machine that is in the table without a key being pressed. */
  unattended: z.boolean(),
  hosts: z.array(entrySchema).check(z.minLength(1), z.maxLength(10_000)),
});

export type HostsTable = z.output<typeof tableSchema>;
export type HostEntry = HostsTable['hosts'][number];

const fieldOrder = ['schema', 'createdAt', 'expiresAt', 'unattended', 'hosts'] as const;
const entryOrder = ['host', 'serial', 'mac', 'machineId', 'disks'] as const;

/** The bytes that are signed. @param input as a person has written it @throws NixmakerError `hosts-malformed` */
export function encodeHosts(input: unknown): string {
  const table = checked(input);
  const hosts = table.hosts.map((entry) => ordered(entryOrder, entry));
  return `${JSON.stringify(ordered(fieldOrder, { ...table, hosts }))}\n`;
}

const ordered = (keys: readonly string[], value: object): object =>
  given(Object.fromEntries(keys.map((key) => [key, (value as Record<string, unknown>)[key]])));

/** @throws NixmakerError `hosts-malformed`; any spelling but the one that `encodeHosts` writes is refused too */
export function parseHosts(text: string): HostsTable {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('hosts-malformed', 'it is not JSON', { cause });
  }
  const table = checked(json);
  // Catches duplicate keys as well.
  if (encodeHosts(json) !== text) throw new NixmakerError('hosts-malformed', 'it is not in canonical form');
  return table;
}

function checked(json: unknown): HostsTable {
  const parsed = tableSchema.safeParse(json);
  if (!parsed.success) throw new NixmakerError('hosts-malformed', describeIssues(parsed.error));
  const seen = new Map<string, string>();
  for (const { host, serial, mac, machineId: id } of parsed.data.hosts) {
    const marks = JSON.stringify([serial, mac, id]);
    const other = seen.get(marks);
    if (other !== undefined)
      throw new NixmakerError('hosts-malformed', `${other} and ${host} are told apart by nothing`);
    seen.set(marks, host);
  }
  return parsed.data;
}

/** What a machine says of itself. */
export interface MachineMarks {
  readonly serial: string | undefined;
  readonly macs: readonly string[];
  readonly machineId: string | undefined;
}

/** The entries of which everything they say is true of the machine. */
export const matching = ({ hosts }: Pick<HostsTable, 'hosts'>, marks: MachineMarks): HostEntry[] =>
  hosts.filter(
    (entry) =>
      (entry.serial === undefined || entry.serial === marks.serial) &&
      (entry.mac === undefined || marks.macs.includes(entry.mac)) &&
      (entry.machineId === undefined || entry.machineId === marks.machineId),
  );

/** For people. */
export const marksText = ({ serial, macs, machineId: id }: MachineMarks): string =>
  [
    `serial number ${serial ?? 'unknown'}`,
    `MAC addresses ${macs.join(', ') || 'unknown'}`,
    `machine id ${id ?? 'unknown'}`,
  ].join('; ');

export interface Chosen {
  /** Undefined if nothing says so: then a bundle does. */
  readonly host: string | undefined;
  readonly entry: HostEntry | undefined;
}

/**
 * @param named what a person has typed
 * @throws NixmakerError `host-unknown`, `wrong-host` if the table knows this machine as another
 */
export function chooseHost(
  named: string | undefined,
  table: HostsTable | undefined,
  marks: MachineMarks,
): Chosen {
  if (table === undefined) return { host: named, entry: undefined };
  const found = matching(table, marks);
  const [entry, another] = found;
  if (another !== undefined && entry !== undefined && another.host !== entry.host)
    throw new NixmakerError(
      'host-unknown',
      `the table has this machine as ${entry.host} and as ${another.host}`,
    );
  if (entry === undefined) {
    if (named === undefined)
      throw new NixmakerError('host-unknown', `the table does not have this machine (${marksText(marks)})`);
    return { host: named, entry: undefined };
  }
  if (named !== undefined && named !== entry.host)
    throw new NixmakerError('wrong-host', `the table has this machine as ${entry.host}, not as ${named}`);
  return { host: entry.host, entry };
}
