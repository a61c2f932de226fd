/**
 * Reading the settings and the policy. The policy is root's word on what may become this machine's system, so a
 * file that others could have written, or one with even a single unknown key, stops everything.
 */
import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  type DocumentNode,
  evaluate,
  type JSONValue as MomoaValue,
  parse,
  type ValueNode,
} from '@humanwhocodes/momoa';
import { isMissing } from '../core/errno.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { type Policy, policyParser } from '../core/policy/policy.ts';
import { type Settings, settingsParser } from '../core/policy/settings.ts';
import * as z from '../core/zod.ts';
import { readAll } from '../files/foreign.ts';

interface Source {
  readonly text: string;
  readonly stat: Stats;
}

/** @param required false for the default location, where a missing file means all defaults */
export async function readSettings(path: string, { required }: { required: boolean }): Promise<Settings> {
  const source = await readBounded(path, limits.settingsBytes, 'settings-malformed');
  if (source === undefined) {
    if (required) throw new NixmakerError('settings-malformed', `there is no file ${path}`);
    return settingsParser.parse({});
  }
  return parseConfig(source.text, {
    path,
    schema: settingsParser,
    code: 'settings-malformed',
  });
}

/** The valid keys of unusable settings, so that undoing looks in the right places. Never throws. */
export async function salvageSettings(path: string): Promise<Settings> {
  const source = await readBounded(path, limits.settingsBytes, 'settings-malformed').catch(() => undefined);
  const { shape } = settingsParser;
  let given: unknown;
  try {
    given = JSON.parse(source?.text ?? '{}');
  } catch {
    given = {};
  }
  const isGood = ([key, value]: readonly [string, unknown]) =>
    Object.hasOwn(shape, key) && shape[key as keyof typeof shape].safeParse(value).success;
  const entries = typeof given === 'object' && given !== null ? Object.entries(given) : [];
  return settingsParser.parse(Object.fromEntries(entries.filter(isGood)));
}

/**
 * @param trustedUid whose file is trusted besides root's: the user this process runs as
 * @throws NixmakerError `policy-missing`, `policy-unsafe`, `policy-malformed`
 */
export async function readPolicy(path: string, trustedUid: number): Promise<Policy> {
  const source = await readBounded(path, limits.policyBytes, 'policy-malformed');
  if (source === undefined) throw new NixmakerError('policy-missing', `there is no file ${path}`);
  const { uid, mode } = source.stat;
  if (uid !== 0 && uid !== trustedUid) {
    throw new NixmakerError('policy-unsafe', `${path} belongs to user ${uid}, not to root`);
  }
  if ((mode & 0o022) !== 0) {
    throw new NixmakerError(
      'policy-unsafe',
      `${path} is writable by its group or by everyone (mode ${(mode & 0o777).toString(8)})`,
    );
  }
  return parseConfig(source.text, { path, schema: policyParser, code: 'policy-malformed' });
}

async function readBounded(path: string, most: number, code: ReasonCode): Promise<Source | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile() || stat.size > most)
        throw new NixmakerError(code, `${path} is not a file of at most ${most} bytes`);
      return { text: (await readAll(file, most)).toString('utf8'), stat };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof NixmakerError) throw error;
    if (isMissing(error)) return undefined;
    throw new NixmakerError(code, `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

interface ConfigKind<T extends z.ZodMiniType> {
  readonly path: string;
  readonly schema: T;
  readonly code: ReasonCode;
}

/** JSON with positions: duplicate keys are errors, and messages name the line. */
export function parseConfig<T extends z.ZodMiniType>(text: string, kind: ConfigKind<T>): z.output<T> {
  let document: DocumentNode;
  try {
    document = parse(text, { mode: 'json' });
  } catch (cause) {
    throw new NixmakerError(kind.code, `${kind.path}: ${messageOf(cause)}`, { cause });
  }
  refuseDuplicates(document.body, kind);
  const parsed = kind.schema.safeParse(evaluate(document) as MomoaValue);
  if (parsed.success) return parsed.data;
  // A mistyped key is also a missing one; the operator should see the typo.
  const issues = parsed.error.issues.map(innermost);
  const issue = issues.find((i) => i.code === 'unrecognized_keys') ?? (issues[0] as z.core.$ZodIssue);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const place = [...issue.path, ...(unknown === undefined ? [] : [unknown])];
  const line = lineOf(document.body, place);
  const where = place.map(String).join('.');
  const near = unknown === undefined ? undefined : nearest(unknown, keysAt(kind.schema, issue.path));
  const hint = near === undefined ? '' : `; did you mean “${near}”?`;
  throw new NixmakerError(
    kind.code,
    `${kind.path}, line ${line}${where === '' ? '' : `, ${where}`}: ${issue.message}${hint}`,
  );
}

/** For a value with several possible forms: what is wrong with it in the form it has. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const inner = issue.errors
    .map(([first]) => first)
    .find((i) => i !== undefined && i.code !== 'invalid_type');
  const deeper = inner ?? issue.errors.flat().find((i) => i.path.length > 0);
  if (deeper === undefined) return issue;
  return innermost({ ...deeper, path: [...issue.path, ...deeper.path] });
}

/** The keys allowed at a position, by the schema. */
function keysAt(schema: z.ZodMiniType, path: readonly PropertyKey[]): readonly string[] {
  const named = (node: JsonSchema, key: PropertyKey): JsonSchema[] => {
    const next = node.properties?.[String(key)] ?? node.items ?? node.additionalProperties;
    return [...(typeof next === 'object' ? [next] : []), ...(node.anyOf ?? []).flatMap((n) => named(n, key))];
  };
  const keys = (node: JsonSchema): string[] => [
    ...Object.keys(node.properties ?? {}),
    ...(node.anyOf ?? []).flatMap(keys),
  ];
  let nodes = [z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema];
  for (const key of path) nodes = nodes.flatMap((node) => named(node, key));
  return nodes.flatMap(keys);
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
}

function refuseDuplicates(node: ValueNode, kind: Pick<ConfigKind<z.ZodMiniType>, 'path' | 'code'>): void {
  if (node.type === 'Array') for (const element of node.elements) refuseDuplicates(element.value, kind);
  if (node.type !== 'Object') return;
  const seen = new Set<string>();
  for (const member of node.members) {
    const key = member.name.type === 'String' ? member.name.value : member.name.name;
    if (seen.has(key)) {
      throw new NixmakerError(
        kind.code,
        `${kind.path}, line ${member.loc.start.line}: “${key}” appears twice`,
      );
    }
    seen.add(key);
    refuseDuplicates(member.value, kind);
  }
}

function lineOf(node: ValueNode, path: readonly PropertyKey[]): number {
  const [first, ...rest] = path;
  if (node.type === 'Object') {
    const member = node.members.find(
      (m) => (m.name.type === 'String' ? m.name.value : m.name.name) === first,
    );
    if (member !== undefined) return lineOf(member.value, rest);
  }
  if (node.type === 'Array' && typeof first === 'number') {
    const element = node.elements[first];
    if (element !== undefined) return lineOf(element.value, rest);
  }
  return node.loc.start.line;
}

/** The valid key a mistyped one most likely meant: the one at the smallest edit distance, if at most a third differs. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates.map((c) => ({ c, d: distance(word.toLowerCase(), c.toLowerCase()) }));
  const best = scored.sort((a, b) => a.d - b.d)[0];
  return best !== undefined && best.d <= Math.ceil(best.c.length / 3) ? best.c : undefined;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
