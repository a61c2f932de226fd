/** Settings and policy, read: each complaint with its line and what was meant; what can be saved of settings that can’t be used. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import * as z from 'zod';
import { limits } from '../../src/core/limits.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { nearest, parseConfig, readPolicy, readSettings, salvageSettings } from '../../src/state/config.ts';
import { pair, temporaryFolder } from '../support/bundles.ts';

const schema = z.strictObject({
  name: z.string(),
  list: z.array(z.strictObject({ size: z.number(), kind: z.enum(['a', 'b']).optional() })).default([]),
  either: z
    .union([z.string(), z.strictObject({ key: z.string(), roles: z.array(z.string()).optional() })])
    .optional(),
  named: z.record(z.string(), z.strictObject({ width: z.number() })).optional(),
});
const complaint = (text: string): string => {
  try {
    parseConfig(text, { path: 'x.json', schema, code: 'settings-malformed' });
  } catch (error) {
    return (error as { detail: string }).detail;
  }
  return 'none';
};

for (const [what, text, says] of [
  ['a value of another kind', '{\n"name": 5}', /^x\.json, line 2, name: /],
  ['one that is missing', '{\n\n}', /^x\.json, line 1, name: /],
  ['no object at all', '\n7', /^x\.json, line 2: /],
  [
    'a mistyped key, which is a missing one as well',
    '{\n"nam": "x"}',
    /^x\.json, line 2, nam: .*; did you mean “name”\?$/,
  ],
  ['a key like none', '{"name": "x",\n"zzzzzz": 1}', /^x\.json, line 2, zzzzzz: [^;]*$/],
  [
    'a mistyped key in a list',
    '{"name": "x",\n"list": [{"size": 1},\n{"size": 2, "kimd": "a"}]}',
    /line 3, list\.1\.kimd: .*“kind”/,
  ],
  ['a value in a list', '{"name": "x", "list": [{"size": 1},\n\n{"size": "y"}]}', /line 3, list\.1\.size: /],
  [
    'a mistyped key where there are two forms',
    '{"name": "x", "either": {"key": "k",\n"role": []}}',
    /line 2, either\.role: .*“roles”/,
  ],
  ['a value where there are two forms', '{"name": "x", "either": {\n"key": 5}}', /line 2, either\.key: /],
  ['a value that is neither form', '{"name": "x",\n"either": 5}', /line 2, either: /],
  [
    'a mistyped key below a name',
    '{"name": "x", "named": {"a": {\n"widht": 1}}}',
    /line 2, named\.a\.widht: .*“width”/,
  ],
  ['a key given twice', '{"name": "x",\n"name": "y"}', /^x\.json, line 2: “name” appears twice$/],
  [
    'a key given twice in a list',
    '{"name": "x", "list": [{"size": 1,\n"size": 2}]}',
    /line 2: “size” appears twice/,
  ],
  [
    'a key given twice below',
    '{"name": "x", "either": {"key": "a",\n"key": "b"}}',
    /line 2: “key” appears twice/,
  ],
  ['no JSON', '{"name": ', /^x\.json: /],
] as const)
  test(`${what} is told with its place`, () => {
    assert.match(complaint(text), says);
  });

test('the same key in two objects is no key given twice', () => {
  assert.equal(complaint('{"name": "x", "list": [{"size": 1}, {"size": 1}]}'), 'none');
});

test('what a mistyped word most likely meant: the nearest, where at most a third of it differs', () => {
  const words = ['host', 'operation', 'window', 'threshold'];
  for (const [word, meant] of [
    ['hots', 'host'],
    ['hst', 'host'],
    ['hhost', 'host'],
    ['ho', 'host'],
    ['h', undefined],
    ['HOST', 'host'],
    ['windwo', 'window'],
    ['widow', 'window'],
    ['wxxdow', 'window'],
    ['wxxxow', undefined],
    ['treshhold', 'threshold'],
    ['', undefined],
  ] as const)
    assert.equal(nearest(word, words), meant, word);
  assert.equal(nearest('ab', ['abc', 'ab', 'b']), 'ab');
  assert.equal(nearest('x', []), undefined);
});

test('settings that can’t be used give what of them can; the rest are defaults', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'settings.json');
  const defaults = settingsParser.parse({});
  await writeFile(path, JSON.stringify({ stateDirectory: '/srv/state', inbox: 7, nonsense: 1 }));
  assert.deepEqual(await salvageSettings(path), { ...defaults, stateDirectory: '/srv/state' });
  for (const text of ['{', '7', 'null', '"x"', '[]']) {
    await writeFile(path, text);
    assert.deepEqual(await salvageSettings(path), defaults, text);
  }
  assert.deepEqual(await salvageSettings(join(folder, 'none')), defaults);
  assert.deepEqual(await salvageSettings(folder), defaults);
});

test('what is no file, or larger than a configuration, is refused under its own code', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'settings.json');
  const of = (file: string) => readSettings(file, { required: true });
  await assert.rejects(of(folder), { code: 'settings-malformed', detail: /is not a file of at most/ });
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  await assert.rejects(of(join(folder, 'pipe')), { code: 'settings-malformed', detail: /is not a file/ });
  await writeFile(path, `{}${' '.repeat(limits.settingsBytes - 2)}`);
  await of(path);
  await writeFile(path, `{}${' '.repeat(limits.settingsBytes - 1)}`);
  await assert.rejects(of(path), { detail: /is not a file of at most/ });
  await symlink('loop', join(folder, 'loop'));
  await assert.rejects(of(join(folder, 'loop')), {
    code: 'settings-malformed',
    detail: /cannot read .*: ELOOP/,
  });
  await assert.rejects(of(join(folder, 'none')), { code: 'settings-malformed', detail: /there is no file/ });
  await mkdir(join(folder, 'policy'));
  await assert.rejects(readPolicy(join(folder, 'policy'), 0), { code: 'policy-malformed' });
});

test('root’s policy is trusted by whoever reads it; another’s only by its owner', async (t) => {
  const path = join(await temporaryFolder(t), 'policy.json');
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [pair.public] };
  await writeFile(path, JSON.stringify(policy), { mode: 0o600 });
  const owner = process.getuid?.() ?? 0;
  assert.equal((await readPolicy(path, owner)).host, 'web');
  const byAnother = readPolicy(path, owner + 4321);
  if (owner === 0) assert.equal((await byAnother).host, 'web');
  else await assert.rejects(byAnother, { code: 'policy-unsafe', detail: /belongs to user/ });
});
