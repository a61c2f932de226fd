/** Outputs of the desk’s verbs. */
import * as z from 'zod';
import { hostReceiptParser } from '../../../src/core/run/host-receipt.ts';
import { conditions } from '../../../src/report/fleet-condition.ts';
import { code, count, exit, manifest, ok, path, schema, sequence, time, toldKeys } from './parts.ts';

const builtHost = z.object({
  host: z.string(),
  status: z.literal('built'),
  bundle: path,
  bytes: count,
  sequence,
  paths: count,
  toplevel: path,
  signedBy: z.string().optional(),
  leaks: z.array(z.object({ kind: z.enum(['source', 'other-host']), path, chain: z.array(path) })),
});

const failedHost = z.object({
  host: z.string(),
  status: z.literal('failed'),
  code,
  detail: z.string(),
  log: z.string().optional().describe('what Nix said'),
  excerpt: z.array(z.string()).optional(),
});

const former = z.object({ at: time, reason: z.string(), key: z.string() });
const signers = z.array(z.string()).describe('names; not verified');

export const desk = {
  list: ['nixmaker list', z.object({ schema: schema(1), hosts: z.array(z.string()) })],
  build: [
    'nixmaker build',
    z.object({
      schema: schema(1),
      ok,
      hosts: z.array(z.discriminatedUnion('status', [builtHost, failedHost])),
      warnings: z.array(z.string()),
    }),
  ],
  pack: [
    'nixmaker pack',
    z.object({ schema: schema(1), ok, bundle: path, bytes: count, sequence, paths: count }),
  ],
  verify: [
    'nixmaker verify',
    z.object({
      schema: schema(1),
      ok: z.literal(true),
      host: z.string(),
      sequence,
      toplevel: path,
      signedBy: z.array(z.string()),
      provenance: z
        .object({ builder: z.string(), flake: z.string() })
        .describe('with --provenance')
        .optional(),
    }),
  ],
  inspect: [
    'nixmaker inspect FILE',
    z.object({
      schema: schema(2),
      verified: z.literal(false),
      manifest,
      manifestDigest: z.string(),
      claimedSigners: signers,
      signatureProblem: code.optional(),
      bytes: count,
      contents: z
        .union([
          z.object({ whole: count, differences: count, leftOut: count, bytes: count, nixSigners: signers }),
          z.object({ problem: code }),
        ])
        .optional(),
      paths: z.array(path).optional(),
    }),
  ],
  'inspect-medium': [
    'nixmaker inspect FOLDER',
    z.object({
      schema: schema(1),
      verified: z.literal(false),
      bundles: z.array(
        z.object({
          file: path,
          bytes: count.optional(),
          host: z.string().optional(),
          sequence: sequence.optional(),
          createdAt: time.optional(),
          claimedSigners: signers,
          problem: code.optional(),
        }),
      ),
    }),
  ],
  'inspect-policy': [
    'nixmaker inspect --policy FILE FOLDER',
    z.object({
      schema: schema(1),
      verified: z.literal(true),
      bundles: z.array(
        z.object({
          file: path,
          host: z.string().optional(),
          sequence: sequence.optional(),
          judgement: z.object({
            outcome: z.string(),
            present: count.optional(),
            expected: count.optional(),
            code: code.optional(),
            detail: z.string().optional(),
          }),
        }),
      ),
    }),
  ],
  put: [
    'nixmaker put',
    z.object({
      schema: schema(2),
      ok,
      hosts: z.array(
        z.object({
          host: z.string(),
          sequence,
          status: z.enum(['written', 'there', 'older']),
          files: count.describe('written; the others were there'),
          bytes: count,
        }),
      ),
      pruned: count.describe('older sequences removed'),
      collected: count.describe('files that only they needed'),
      notices: z.array(z.string()),
      leftOut: z.array(z.object({ host: z.string(), ring: z.string().optional(), why: z.string() })),
      keyrings: z.array(count).describe('versions copied'),
      parts: z
        .array(z.object({ part: count, of: count, place: path.describe('medium, folder or image') }))
        .describe('with --split or --size; `hosts` then has one entry for each part')
        .optional(),
    }),
  ],
  collect: [
    'nixmaker collect',
    z.object({
      schema: schema(1),
      ok,
      replaced: former.extend({ host: z.string(), newKey: z.string(), folder: path }).optional(),
      receipts: z.array(
        z.object({
          file: path,
          host: z.string().optional(),
          sequence: count.optional(),
          state: z.string().optional(),
          status: z.enum(['new', 'known', 'older', 'former', 'rejected']),
          files: count
            .optional()
            .describe(
              'how many files this stands for, if more than one: known or older, beyond the newest of a host and the first 2000 of all',
            ),
          enrolled: z.literal(true).optional(),
          code: code.optional(),
          detail: z.string().optional(),
        }),
      ),
    }),
  ],
  fleet: [
    'nixmaker fleet',
    z.object({
      schema: schema(2),
      hosts: z.array(
        z.object({
          host: z.string(),
          condition: z.enum(conditions),
          reasons: z.array(z.string()),
          ring: z.string().optional(),
          release: sequence.optional(),
          floor: count.optional(),
          held: z.array(sequence),
          staged: z
            .object({ sequence, since: time, code: code.optional(), detail: z.string().optional() })
            .optional()
            .describe('in the machine’s store, waiting for its time'),
          collected: time.optional(),
          receipts: count,
          unreadable: count,
          missing: count
            .describe('number of a receipt that was here and is newer than all that are')
            .optional(),
          former: z.array(former),
          last: z.optional(hostReceiptParser).describe('the newest receipt; docs/format.md'),
        }),
      ),
      retired: z.array(z.object({ host: z.string(), at: time, reason: z.string().optional() })),
      advisories: z
        .object({
          hosts: z.array(
            z.object({
              host: z.string(),
              found: z
                .array(
                  z.object({
                    id: z.string(),
                    aliases: z.array(z.string()),
                    summary: z.string().optional(),
                    name: z.string(),
                    version: z.string(),
                    isCertain: z.boolean().describe('the advisory says that this version is affected'),
                  }),
                )
                .describe('absent if nobody knows what is installed')
                .optional(),
            }),
          ),
          advisories: count,
          unreadable: count.describe('entries that are no advisories'),
        })
        .describe('with --advisories')
        .optional(),
    }),
  ],
  'fleet-keys': ['nixmaker fleet keys', z.object({ schema: schema(1), hosts: z.array(toldKeys) })],
  keygen: [
    'nixmaker keygen',
    z.object({
      schema: schema(1),
      secretFile: path.optional().describe('not with --from'),
      publicFile: path,
      publicKey: z.string(),
      isExposed: z
        .boolean()
        .describe('others can read the secret: its file system stores no modes')
        .optional(),
    }),
  ],
  encrypt: ['nixmaker encrypt', z.object({ schema: schema(1), files: z.array(path) })],
  keyring: [
    'nixmaker keyring show',
    z.object({
      schema: schema(1),
      verified: z.literal(false),
      version: count,
      hosts: z.array(z.string()),
      trustedKeys: z.array(z.looseObject({})),
      threshold: count,
      roles: z.record(z.string(), count),
      minimumSequence: count.optional(),
      claimedSigners: signers,
    }),
  ],
  hosts: [
    'nixmaker hosts show',
    z.object({
      schema: schema(1),
      verified: z.literal(false),
      createdAt: time,
      expiresAt: time.optional(),
      unattended: z.boolean(),
      hosts: z.array(
        z.object({
          host: z.string(),
          serial: z.string().optional(),
          mac: z.string().optional(),
          machineId: z.string().optional(),
          disks: z.array(path).optional().describe('which may be overwritten unasked'),
        }),
      ),
      claimedSigners: signers,
    }),
  ],
  explain: [
    'nixmaker explain',
    z.object({
      schema: schema(1),
      codes: z.array(
        z.object({
          code,
          what: z.string(),
          safety: z.string(),
          next: z.string(),
          exit,
          atTheDesk: z.object({ what: z.string().optional(), next: z.string().optional() }).optional(),
        }),
      ),
    }),
  ],
  error: [
    'any verb that fails before it has a result',
    z.object({ schema: schema(1), ok: z.literal(false), code, detail: z.string() }),
  ],
} as const;
