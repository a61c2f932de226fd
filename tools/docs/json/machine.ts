/** Outputs of the machine’s verbs. */
import * as z from 'zod';
import { damageKinds } from '../../../src/core/run/damage.ts';
import {
  code,
  count,
  floor,
  heldRelease,
  ok,
  path,
  receipt,
  record,
  schema,
  sequence,
  time,
} from './parts.ts';

const wait = z.object({
  path,
  code,
  detail: z.string().optional(),
  since: time,
  tries: count.optional(),
  again: time.optional().describe('next try, at the latest'),
});

const status = z.object({
  schema: schema(1),
  running: path.optional(),
  booted: path.optional(),
  profile: path.optional(),
  generation: count.optional(),
  pending: z.boolean().describe('the installed system is not the running one'),
  awaiting: z
    .object({ sequence: sequence.optional(), detail: z.string(), confirmWithin: z.string().optional() })
    .optional()
    .describe('the system that waits for a restart or a confirmation'),
  staged: z
    .object({
      sequence,
      since: time,
      code: code.optional(),
      detail: z.string().optional(),
      at: time.optional().describe('when it was last looked at'),
    })
    .optional()
    .describe('the release that is in the store and waits for its time'),
  restartChanges: z.array(z.string()),
  floor: z.object({ sequence: count, createdAt: time }).optional(),
  floorLost: z.string().optional(),
  held: z.array(heldRelease),
  heldLost: z.string().optional(),
  keyring: count.optional(),
  last: record.optional(),
  standing: z
    .object({ state: z.string(), source: z.string(), since: time, hasBegunToChange: z.boolean() })
    .optional()
    .describe('a run that stopped midway'),
  progress: z
    .object({
      transaction: z.string(),
      step: z.enum(['import', 'realise']),
      done: count,
      expected: count,
      bytes: count.optional(),
      expectedBytes: count.optional(),
      seconds: z.number(),
      secondsLeft: z.number().optional(),
    })
    .optional(),
  health: z.string().optional(),
  media: z.array(path),
  policy: z.object({ window: z.string().optional(), problem: z.string().optional() }).optional(),
  waiting: z.array(path),
  waits: z.array(wait),
  moreWaits: count,
  parts: z
    .object({
      schema: schema(1),
      host: z.string(),
      sequence,
      manifestDigest: z.string(),
      of: count,
      needed: z.array(count),
      here: count.describe('store paths'),
      paths: count,
      at: time,
    })
    .describe('a release on several media, as far as it is here')
    .optional(),
  disks: z.array(z.object({ mounted: path, fileSystem: z.string(), freeBytes: count, totalBytes: count })),
  receiptsWaiting: count.describe('receipts that have yet to leave the machine'),
  unreadable: count.describe('lines of the journal'),
  newer: count.optional().describe('of them, those of a newer nixmaker'),
});

const damagedPath = z.object({
  path,
  what: z.enum(damageKinds).describe('docs/operations.md, damaged store paths'),
  narHash: z.string().optional().describe('of the contents it should have'),
  narSize: count,
  detail: z.string().optional(),
});

export const machine = {
  receipt: [
    'nixmaker switch, boot, test, dry-activate, rollback, confirm; agent --once, one after the other',
    receipt,
  ],
  approve: [
    'nixmaker approve',
    z.object({ schema: schema(1), ok, approved: z.boolean(), sequence: count.nullable() }),
  ],
  'confirm-nothing': [
    'nixmaker confirm, where nothing is to be confirmed',
    z.object({ schema: schema(1), ok, pending: z.literal(false) }),
  ],
  status: ['nixmaker status; with --watch one a line', status],
  history: [
    'nixmaker history',
    z.object({ schema: schema(1), runs: z.array(record), unreadable: count, newer: count.optional() }),
  ],
  event: ['nixmaker events, one a line', record],
  fetch: [
    'nixmaker fetch',
    z.object({
      schema: schema(1),
      ok,
      servers: z.array(
        z.object({
          server: z.string(),
          status: z.enum(['fetched', 'there', 'nothing', 'failed']),
          sequence: count.optional(),
          files: count,
          bytes: count,
          keyrings: z.array(count),
          receipts: count.optional().describe('sent; left out if none may be, or the server takes none'),
          faults: z.array(z.object({ code: z.string(), detail: z.string() })),
        }),
      ),
    }),
  ],
  diff: [
    'nixmaker diff',
    z.object({
      schema: schema(1),
      from: path,
      to: path,
      packages: z.array(z.object({ name: z.string(), from: z.array(z.string()), to: z.array(z.string()) })),
      rebuilt: count,
      sizeBefore: count,
      sizeAfter: count,
      units: z.array(z.string()),
      restart: z.array(z.string()),
    }),
  ],
  doctor: [
    'nixmaker doctor',
    z.object({
      schema: schema(1),
      ok,
      checks: z.array(
        z.object({
          check: z.string(),
          verdict: z.enum(['ok', 'look', 'bad']),
          what: z.string(),
          next: z.string().optional(),
        }),
      ),
    }),
  ],
  repair: [
    'nixmaker repair',
    z.object({
      schema: schema(1),
      ok,
      paths: count.describe('read: all of this machine’s systems'),
      unsigned: count.describe('of them, those for which only Nix’s database says what they should be'),
      repaired: z.array(damagedPath),
      damaged: z.array(damagedPath).describe('still'),
      more: count.describe('damaged, and not listed'),
      unusable: z
        .array(z.object({ file: path, code, detail: z.string() }))
        .describe('bundles at hand, or contents in them, that could not be used'),
    }),
  ],
  'check-policy': [
    'nixmaker check-policy FILE',
    z.object({
      schema: schema(1),
      ok,
      says: z.array(z.string()),
      policy: z.looseObject({}).describe('with its defaults; docs/policy.schema.json'),
    }),
  ],
  'check-bundle': [
    'nixmaker check-policy FILE BUNDLE',
    z.object({
      schema: schema(1),
      ok,
      checks: z.array(
        z.object({
          asks: z.string(),
          result: z.enum([
            'passed',
            'skipped',
            'refuse',
            'defer',
            'already-committed',
            'already-pending',
            'already-staged',
          ]),
          code: code.optional(),
          detail: z.string().optional(),
        }),
      ),
    }),
  ],
  install: [
    'nixmaker install',
    z.object({
      schema: schema(1),
      ok,
      host: z.string(),
      sequence,
      toplevel: path,
      signedBy: z.array(z.string()),
      root: path,
      installed: z.boolean().describe('false after --dry-run'),
      notices: z.array(z.string()),
      unattended: z.boolean().describe('a signed table has a live image install this machine unasked'),
      overwrites: z
        .object({ disks: z.array(path), empty: z.boolean(), named: z.boolean() })
        .optional()
        .describe('with --format; `empty`: there is nothing on any of the disks'),
      hostKey: z.string().optional().describe('by which the desk knows its receipts'),
      recipients: z.array(z.string()).optional().describe('for `encrypt --to`'),
      sshHostKeys: z.array(z.string()).optional().describe('public halves'),
      receiptOn: path.optional().describe('where the first receipt lies; otherwise it waits'),
    }),
  ],
  hold: [
    'nixmaker hold',
    z.object({ schema: schema(1), ok, held: z.array(heldRelease), isInstalled: z.boolean() }),
  ],
  release: ['nixmaker release', z.object({ schema: schema(1), ok, freed: z.array(heldRelease) })],
  floor: [
    'nixmaker floor',
    z.object({ schema: schema(1), ok, lost: z.string().nullable(), floor: floor.nullable() }),
  ],
  'floor-adopt': ['nixmaker floor adopt', z.object({ schema: schema(1), ok, floor })],
  'keyring-accept': ['nixmaker keyring accept', z.object({ schema: schema(1), ok, version: count })],
  'host-key': ['nixmaker host-key', z.object({ schema: schema(1), hostKey: z.string() })],
  'age-key': ['nixmaker age-key', z.object({ schema: schema(1), recipients: z.array(z.string()) })],
  'store-key': [
    'nixmaker store-key',
    z.object({ schema: schema(1), storeKey: z.string(), conf: path, trusted: z.boolean() }),
  ],
} as const;
