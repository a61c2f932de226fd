/** Every verb, option, code, key, unit and path that a document names is there: what a reader types does what the document says. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { makeProgram } from '../../src/cli/program.ts';
import { catalogue } from '../../src/core/catalogue.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { blocksIn, type Code, checkout, commandsIn, inAll, namesBelow, read, spansIn } from './documents.ts';

const spans = inAll(spansIn);
const commands = inAll(commandsIn);
const unknown = (codes: readonly Code[], isKnown: (text: string) => boolean) =>
  codes.filter(({ text }) => !isKnown(text)).map(({ document, text }) => `${document}: ${text}`);

const flags = new Map<string, readonly string[]>();
/** Also what help leaves out: the original tool’s names, and what units call. */
function addFlags(command: Command, words: readonly string[]): void {
  const own = command.options.flatMap((o) => [o.short, o.long].filter((flag) => flag != null));
  flags.set(words.join(' '), own);
  for (const each of command.commands) addFlags(each, [...words, each.name()]);
}
addFlags(await makeProgram(''), []);
const flagsOf = (words: readonly string[]) => flags.get(words.join(' '));
const anyFlag = new Set([...flags.values()].flat());

/** @returns what of a call does not exist */
function faultOfCall(call: string): string | undefined {
  const words = call.split(/\s+/).filter((word) => word !== '');
  const nested = words.slice(0, 2);
  const plain = words.slice(0, 1);
  const [first = ''] = plain;
  if (first === '' || first === 'VERB' || first.startsWith('-')) return undefined;
  const verb = [nested, plain].find((some) => flagsOf(some) !== undefined);
  if (verb === undefined) return `there is no verb ${first}`;
  // Of a verb with verbs of its own, the first that is none of them is an argument to the one that is meant without a name.
  const own = [...(flagsOf(verb) ?? []), ...(flagsOf([first, 'show']) ?? []), '--help'];
  const wrong = words
    .filter((word) => /^--?[a-z]/.test(word))
    .map((word) => word.replace(/=.*$/, ''))
    .find((flag) => !own.includes(flag));
  return wrong === undefined ? undefined : `${verb.join(' ')} has no ${wrong}`;
}

/** What follows the program’s name, until the shell’s next command. */
const callsIn = (line: string): string[] =>
  [...line.matchAll(/(?:^|[\s;&|(/])nixmaker ([a-zV-][^;|&)>]*)/g)].map(([, call = '']) => call.trim());

test('every call of nixmaker in a document has a verb, and options that the verb has', () => {
  const sentences = Object.values(catalogue).flatMap(({ what, next }) =>
    spansIn(`${what} ${next}`).map((text) => ({ document: 'src/core/catalogue.ts', text })),
  );
  const all = [...spans, ...commands, ...sentences].flatMap(({ document, text }) =>
    callsIn(text).map((call) => ({ document, text: call })),
  );
  assert.ok(all.length > 150, `${all.length} calls`);
  assert.deepEqual(
    unknown(
      // “nixmaker” may also be a name, as that of a namespace or a unit.
      all.filter(({ text }) => !text.startsWith('sign -n')),
      (call) => faultOfCall(call) === undefined,
    ),
    [],
  );
});

/** Of others’ programs, where they stand alone. */
const othersFlags = [
  ...['-x', '--add-root', '--no-check-sigs', '--ignore-scripts', '--jitless', '--patch-from'],
  ...['--external-memory-accounted-in-global-limit', '--max-semi-space-size', '--optimize-for-size'],
  ...['--collector.textfile.directory', '--option'],
];

test('every option that is named alone is one of some verb', () => {
  const alone = spans.filter(({ text }) => /^--?[a-z]/.test(text));
  assert.ok(alone.length > 50, `${alone.length} options`);
  const isKnown = (text: string) =>
    text
      .split(/[\s,]+/)
      .filter((word) => /^--?[a-z]/.test(word))
      .map((word) => word.replace(/=.*$/, ''))
      .every((flag) => anyFlag.has(flag) || othersFlags.includes(flag));
  assert.deepEqual(unknown(alone, isKnown), []);
});

const sources = [
  ...namesBelow('src', '.ts'),
  ...namesBelow('systemd', ''),
  ...namesBelow('nixos-module', '.nix'),
]
  .filter((path) => /\.\w+$/.test(path))
  .map(read)
  .join('\n');
/** Words between quotes in the sources, and the keys of their tables: codes, events, values, names of files. */
const literals = new Set(
  [...sources.matchAll(/['"`]([\w.@-]+)['"`]|^\s*'?([a-z]+(?:-[a-z]+)*)'?\??:/gm)].map(
    ([, quoted, key]) => quoted ?? key ?? '',
  ),
);

/** Programs, packages, settings and words of others. */
const others = [
  ...[
    'switch-to-configuration',
    'switch-to-configuration-ng',
    'switch-to-configuration-ng-ng',
    'nix-collect-garbage',
    'nixos-rebuild',
    'nixos-install',
  ],
  ...['nix-cache-info', 'nix-hash', 'ssh-keygen', 'systemd-inhibit', 'systemd-tmpfiles', 'pkcs11-tool'],
  ...['allowed-users', 'trusted-users', 'ecdsa-sha2-nistp256', 'internal-sftp'],
];

test('every code, event and value that a document names is one', () => {
  const kebab = spans.filter(({ text }) => /^[a-z0-9]+(-[a-z0-9]+)+$/.test(text));
  assert.ok(kebab.length > 300, `${kebab.length} names`);
  const isKnown = (text: string) =>
    text in catalogue || literals.has(text) || others.includes(text) || others.includes(`${text}s`);
  assert.deepEqual(unknown(kebab, isKnown), []);
});

const schema = JSON.parse(read('docs/policy.schema.json')) as { readonly properties: Tree };
type Tree = Readonly<
  Record<string, { readonly properties?: Tree; readonly anyOf?: readonly { properties?: Tree }[] }>
>;

/** Of the policy, by the schema that is made of its reader. */
function hasKey(path: readonly string[], tree: Tree = schema.properties): boolean {
  const [first = '', ...rest] = path;
  const found = tree[first];
  if (found === undefined) return false;
  const below = found.properties ?? found.anyOf?.find((o) => o.properties !== undefined)?.properties;
  return rest.length === 0 || (below !== undefined && hasKey(rest, below));
}

const settings = settingsParser.parse({}) as unknown as Readonly<Record<string, unknown>>;
const optionalSettings = ['metricsFile', 'identityFile'];
const hasSetting = ([first = '', second]: readonly string[]): boolean => {
  const value = settings[first];
  if (second === undefined) return value !== undefined || optionalSettings.includes(first);
  return typeof value === 'object' && value !== null && second in value;
};

/** Every option, and what holds some. */
const moduleOptions = new Set(
  [...read('docs/options.md').matchAll(/^## `services\.nixmaker\.([\w.*]+)`$/gm)].flatMap(([, name = '']) =>
    name.split('.').map((_, i, words) => words.slice(0, i + 1).join('.')),
  ),
);
/** Of the module, as typed, or as any key of the files that it writes. */
function isOption(name: string): boolean {
  const [first = '', ...rest] = name.split('.');
  if (moduleOptions.has(name)) return true;
  if (first === 'policy') return hasKey(rest);
  return first === 'settings'
    ? hasSetting(rest)
    : ['reboot', 'receipts', 'health'].includes(first) && hasKey([first, ...rest]);
}

/** Files, and what belongs to others: NixOS’s options, JavaScript’s. */
const noKeys =
  /\.(?:ts|json|tar|tgz|gz|zip|age|sig|a|b|tmp|service|path|public|SECRET|secret|identity|floor)$|^(?:lib|pkgs|types|config|formats|JSON|module|nixmaker|health\.settle)\b|^services\.openssh\.|^hooks\.d$|\.TAR$/;

test('every key of policy or settings, and every option of the module, that a document names is there', () => {
  const dotted = [
    ...spans.filter(({ text }) => /^[a-zA-Z]+(\.[a-zA-Z]+)+$/.test(text) && !noKeys.test(text)),
    ...inAll((text) =>
      [...blocksIn(text, 'nix'), ...spansIn(text)].flatMap((block) =>
        [...block.matchAll(/services\.nixmaker((?:\.\w+)+)/g)].map(([whole]) => whole),
      ),
    ),
  ];
  assert.ok(dotted.length > 50, `${dotted.length} keys`);
  const isKnown = (text: string) => {
    if (text === 'services.nixmaker') return true;
    const name = text.replace(/^services\.nixmaker\./, '');
    if (name !== text) return isOption(name);
    const path = text.replace(/^(?:policy|settings)\./, '').split('.');
    return hasKey(path) || hasSetting(path) || isOption(text);
  };
  assert.deepEqual(unknown(dotted, isKnown), []);
  const keys = spans.filter(({ text }) => /^[a-z]+[A-Z]\w*$/.test(text));
  assert.ok(keys.length > 50, `${keys.length} keys`);
  // Nix’s and nixpkgs’ own.
  const foreign = [
    'nixosConfigurations',
    'cleanSource',
    'buildNpmPackage',
    'mkBinaryCache',
    'payloadType',
    'switchInhibitors',
  ];
  const words = new Set(sources.match(/\w+/g));
  assert.deepEqual(
    unknown(keys, (text) => words.has(text) || foreign.includes(text)),
    [],
  );
});

test('every key of the policy and of the settings is documented', () => {
  const [policy, operations] = [read('docs/policy.md'), read('docs/operations.md')];
  const named = (text: string, key: string) => text.includes(`\`${key}\``);
  const groups = Object.entries(schema.properties).flatMap(([key, { properties = {} }]) => [
    key,
    ...Object.keys(properties),
  ]);
  assert.deepEqual(
    groups.filter((key) => !named(policy, key) && !policy.includes(`"${key}"`)),
    [],
  );
  const all = Object.entries(settings).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null ? Object.keys(value).map((k) => `${key}.${k}`) : [key],
  );
  assert.deepEqual(
    [...all, ...optionalSettings].filter((key) => !named(operations, key)),
    [],
  );
});

/** Parts of a path of ours on a machine that are no names of ours. */
const free = /^(?:web\.tar(?:\.txt)?|nixmaker\.prom|…|)$/;

test('every path on a machine, unit and variable of ours that a document names is one that the sources know', () => {
  const text = [...spans, ...commands, ...inAll((t) => blocksIn(t, 'nix'))];
  const ours = /\/(?:var\/lib|run|etc|run\/media)\/nixmaker(?:-receipts)?(?:\/[\w.@…-]+)*/g;
  const paths = text.flatMap(({ document, text: t }) =>
    [...t.matchAll(ours)].map(([path]) => ({ document, text: path })),
  );
  assert.ok(paths.length > 35, `${paths.length} paths`);
  const isKnown = (path: string) =>
    path
      .split('/')
      .slice(path.startsWith('/var') ? 4 : 3)
      .every((part) => free.test(part) || literals.has(part) || sources.includes(`/${part}`));
  assert.deepEqual(unknown(paths, isKnown), []);
  const units = text.flatMap(({ document, text: t }) =>
    [...t.matchAll(/\bnixmaker[\w-]*@?(?:DEVICE)?\.(?:service|path|timer|target)\b/g)].map(([unit]) => ({
      document,
      text: unit.replace('DEVICE', ''),
    })),
  );
  assert.ok(units.length > 10, `${units.length} units`);
  assert.deepEqual(
    unknown(units, (unit) => ['systemd', 'systemd/user'].some((at) => existsSync(join(checkout, at, unit)))),
    [],
  );
  const variables = inAll((t) => t.match(/\bNIXMAKER_[A-Z_]*[A-Z]/g) ?? []);
  assert.ok(variables.length > 10, `${variables.length} variables`);
  const everywhere = [...namesBelow('test', '.ts'), 'scripts/test'].map(read).join('\n') + sources;
  assert.deepEqual(
    unknown(variables, (name) => everywhere.includes(name)),
    [],
  );
});

test('what is not there would be found', () => {
  assert.equal(faultOfCall('bild --flake .'), 'there is no verb bild');
  assert.equal(faultOfCall('verify --kee x'), 'verify has no --kee');
  assert.equal(faultOfCall('keyring sign --key x'), undefined);
  assert.deepEqual(callsIn('ssh box nixmaker switch --tarball - <web.tar; nixmaker bild'), [
    'switch --tarball - <web.tar',
    'bild',
  ]);
  assert.ok(!literals.has('signature-untrusted') && !('signature-untrusted' in catalogue));
  assert.ok(!hasKey(['leastSequence']) && !hasKey(['limits', 'free']) && !hasSetting(['media', 'root']));
  assert.ok(hasKey(['health', 'settle']) && hasSetting(['media', 'roots']));
  assert.ok(
    !isOption('policy.leastSequence') && isOption('policy.limits.freeBytes') && !isOption('inbox.people'),
  );
  assert.deepEqual(spansIn('a `b-c` and\n```sh\nx `no`\n```\n`d`'), ['b-c', 'd']);
});
