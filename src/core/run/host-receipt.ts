/**
 * The receipt that travels back to the desk: what became of bundles on a host, and the host’s state. Signed by the host's
 * own key (docs/format.md §6). At the desk it is outside input like any other.
 */
import { printable } from '../errors.ts';
import { mostHeld } from '../policy/held.ts';
import { ageRecipient, sshHostKey } from '../public-keys.ts';
import { hostName, storePath } from '../schema.ts';
import * as z from '../zod.ts';
import { damageReport } from './damage.ts';
import { hookResultParser } from './hooks.ts';
import { states } from './lifecycle.ts';
import { outcomeText } from './state-words.ts';
import { waitsParser } from './waits.ts';

export const hostReceiptSchemaVersion = 1;
export const hostReceiptType = 'application/vnd.nixmaker.receipt.v1+json';

/** Named in one receipt. */
export const mostGenerations = 1000;
export const mostRecipients = 16;

const text = (most: number) => z.string().check(z.maxLength(most));
const count = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));

const finding = z.strictObject({
  /** The name on the medium. Untrusted: always printed through `printable`. */
  file: text(4096),
  host: z.optional(text(255)),
  sequence: z.optional(count),
  outcome: text(64),
  code: z.optional(text(64)),
  detail: z.optional(text(4096)),
});

/** What the agent saw on a medium. It is the agent’s word, not root’s. */
export type Finding = z.infer<typeof finding>;
export const findingsParser = z.array(finding).check(z.maxLength(1000));

const run = z.strictObject({
  transaction: text(64),
  at: text(64),
  source: text(4096),
  state: z.enum(states),
  code: z.optional(text(64)),
  detail: z.optional(text(16_384)),
  sequence: z.optional(count),
  manifestDigest: z.optional(text(64)),
  toplevel: z.optional(text(300)),
  operation: z.optional(text(64)),
  /** Generations of the system profile, before and after. */
  previousGeneration: z.optional(count),
  generation: z.optional(count),
  /** Set if a person went back: the generation gone to, and the release that was left, which is held. */
  targetGeneration: z.optional(count),
  rolledBackFrom: z.optional(count),
  health: z.optional(
    z
      .array(z.strictObject({ check: text(4096), ok: z.boolean(), detail: z.optional(text(4096)) }))
      .check(z.maxLength(1000)),
  ),
  /** The policy’s hooks that ran, in order. */
  hooks: z.optional(z.array(hookResultParser).check(z.maxLength(100))),
  rebootNeeded: z.optional(z.array(text(64)).check(z.maxLength(64))),
  notices: z.optional(z.array(text(4096)).check(z.maxLength(100))),
  /** What the system changes from the one that was running, in lines for people. */
  changes: z.optional(z.array(text(4096)).check(z.maxLength(100))),
});

export type ReceiptRun = z.infer<typeof run>;
export const receiptRunParser = run;
const receiptRunKeys = Object.keys(run.shape) as readonly (keyof ReceiptRun)[];

const claim = z.pick(run, {
  transaction: true,
  at: true,
  source: true,
  state: true,
  code: true,
  detail: true,
  sequence: true,
});

/** What the agent says became of a bundle that root never saw. */
export type AgentClaim = z.infer<typeof claim>;
const claimKeys = Object.keys(claim.shape) as readonly (keyof AgentClaim)[];
/** In one receipt, the newest. */
const mostClaims = 20;

/** For runs that are not root’s own. */
export const toClaims = (runs: readonly ReceiptRun[]): AgentClaim[] =>
  runs.slice(-mostClaims).map((r) => clipped(r, claimKeys));

/** For people, kept apart from root’s word. */
export const claimText = ({ sequence, source, state, code, detail }: AgentClaim): string =>
  printable(
    `${sequence === undefined ? source : `sequence ${sequence}`}: ${outcomeText({ state, code })}${detail === undefined ? '' : `: ${detail}`}`,
  );

/** What the desk is told about a run; journal lines and receipts hold more. */
export const toReceiptRun = (record: object): ReceiptRun => clipped(record, receiptRunKeys);

function clipped<T>(record: object, keys: readonly (keyof T & string)[]): T {
  const entries = keys.flatMap((k) => {
    const value = (record as Record<string, unknown>)[k];
    return value === undefined ? [] : [[k, clip(value)]];
  });
  return Object.fromEntries(entries) as T;
}

/** Within a receipt’s bounds: one long message must not keep all receipts at home. */
function clip(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, 4096);
  if (Array.isArray(value)) return value.slice(0, 100).map(clip);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, clip(v)]));
}

const hostReceiptSchema = z.strictObject({
  schema: z.literal(hostReceiptSchemaVersion),
  host: hostName,
  /** The host’s public key, `name:base64`; trusted only if it is enrolled. */
  hostKey: text(512),
  /** Grows with each receipt this host writes: tells which of two is newer, whatever its clock says. */
  number: count,
  at: text(64),
  machineId: z.optional(text(64)),
  /** The run this receipt is about, from root’s own journal; none if root has activated nothing yet. */
  run: z.optional(run),
  /** Whether this is the host’s present state, and not an older part of the story: then the fields below are there. */
  now: z.optional(
    z.strictObject({
      running: z.optional(text(300)),
      booted: z.optional(text(300)),
      installed: z.optional(text(300)),
      generation: z.optional(count),
      /** All generations of the system profile that are there, the newest if there are more. */
      generations: z.optional(z.array(count).check(z.maxLength(mostGenerations))),
      /** The machine’s model, as its firmware says. */
      hardware: z.optional(text(256)),
      /** The public half of its SSH host key: secrets can be encrypted to it. */
      sshHostKey: z.optional(sshHostKey),
      floor: z.optional(count),
      /** Sequences of the releases held at the machine. */
      held: z.optional(z.array(count).check(z.maxLength(mostHeld))),
      /** The release that is in its store and waits for its time: since when, and for what. */
      staged: z.optional(
        z.strictObject({
          sequence: count,
          since: text(64),
          code: z.optional(text(64)),
          detail: z.optional(text(4096)),
        }),
      ),
      /** Manifest schemas it takes. */
      reads: z.optional(z.array(count).check(z.maxLength(16))),
      versions: z.strictObject({
        nixmaker: text(64),
        nix: z.optional(text(128)),
        kernel: z.optional(text(256)),
        nixos: z.optional(text(256)),
      }),
      /** Undefined if the machine has no systemd to ask. */
      failedUnits: z.optional(z.array(text(256)).check(z.maxLength(1000))),
      space: z
        .array(z.strictObject({ path: text(4096), freeBytes: count, totalBytes: count }))
        .check(z.maxLength(16)),
      /** What is damaged of its systems’ store paths; undefined if they have never been read. */
      damaged: z.optional(damageReport),
      /** Store paths of the installed system, without damaged ones: gzip of base names, one per line, in base64. */
      paths: z.optional(z.strictObject({ toplevel: storePath, count, gzip: text(8 * 1024 * 1024) })),
    }),
  ),
  seen: findingsParser,
  /** What waits there and why, by the agent’s word. */
  waits: z.optional(z.pick(waitsParser, { waits: true, more: true })),
  /** To whom bundles for it can be encrypted. The agent’s word: it is the agent that has the keys. */
  ageRecipients: z.optional(z.array(ageRecipient).check(z.maxLength(mostRecipients))),
  /**
   * What the agent says became of bundles that root never saw. Root has signed that it says so, and nothing more. Threat: a compromised
   * agent reports a rolled-back release to the desk as committed.
   */
  agentSays: z.optional(z.array(claim).check(z.maxLength(mostClaims))),
});

export type HostReceipt = z.infer<typeof hostReceiptSchema>;
export const hostReceiptParser = hostReceiptSchema;
