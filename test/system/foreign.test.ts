/**
 * An agent that was taken over, and whoever may drop bundles: every name in their folders is replaced, and root runs each of its commands
 * under strace(1). Root is led nowhere: nothing outside is opened, nothing waits, nothing is written in a folder that is not its own.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { startBed } from '../machines/bed.ts';
import { inSample } from '../support/cases.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { type Opened, openedBy, requireStrace, straced } from '../support/strace.ts';

await requireStrace();
const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

const state = '/var/lib/nixmaker/state';
const inbox = '/var/lib/nixmaker/inbox';
const runtime = '/run/nixmaker';
/** What only root may read and write, and what every link leads to. */
const trap = '/root/trap';
const carrier = '/srv/carrier';

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
const policy = {
  schema: 1,
  host: 'web',
  operation: 'switch',
  trustedKeys: [shop.keys.publicKey],
  media: { folders: [1, 2, 3, 4, 5].map((n) => `${carrier}${n}/pool`) },
};
const reboot = { when: 'always', delay: 0 };
await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
await bed.write('/etc/nixmaker/reboot.json', JSON.stringify({ ...policy, reboot }));
await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ inboxRest: 0, inboxPatience: 0 }));

for (const [i, name] of ['one', 'two'].entries()) {
  const hosts = { web: plainHost('web', name) };
  const bundle = await shop.bundle(name, { hosts, args: ['--sequence', String(9 + i)] });
  await bed.write(`/root/${name}.tar`, await readFile(bundle));
}
await bed.sh('nixmaker switch --tarball /root/one.tar');

const id = 'aaaaaaaaaaaa';
const below = (folder: string, ...names: readonly string[]) => names.map((name) => `${folder}/${name}`);
const pool = (n: number) => `${carrier}${n}/pool`;

/** Names that nixmaker, now or ever, has looked for in those folders. */
const outer = [
  ...below(state, 'journal', 'lock', 'receipts', 'roots', 'work', 'age.identity', 'floor.a', 'keyring.a'),
  ...below(runtime, 'progress.json', 'progress.json.new', '.progress.json.part', 'cache', 'run'),
  ...below(runtime, 'requests', 'visits', 'keyrings', 'vouchers', 'rooms', 'repairs'),
  ...below(
    inbox,
    'done',
    'refused',
    'a.tar',
    'b.tar.gz',
    'manifest.json',
    'c.keyring',
    'd.tar.age',
    'folder',
  ),
];
/** Where those that are folders are as they should be: what is in them. */
const inner = [
  ...['json', 'manifest', 'signatures', 'index'].flatMap((kind) => [
    `${runtime}/requests/${id}.${kind}`,
    `${runtime}/vouchers/${id}.${kind}`,
    `${runtime}/rooms/${id}.${kind}`,
  ]),
  ...below(runtime, `visits/${id}.json`, `keyrings/${id}.json`, 'cache/nix'),
  ...below(state, `receipts/${id}.json`, 'roots/incoming', 'roots/incoming-drv', 'work/x'),
  ...below(
    inbox,
    'folder/a.tar',
    'folder/b.tar.gz',
    'folder/manifest.json',
    'done/a.tar.txt',
    'refused/a.tar',
  ),
  pool(1),
  ...below(pool(2), 'nixmaker', 'a.tar', 'x.keyring'),
  ...below(`${pool(3)}/nixmaker`, 'hosts', 'cache', 'receipts', 'keyrings'),
  `${pool(4)}/nixmaker/receipts/web`,
  ...below(
    `${pool(5)}/nixmaker/receipts/web`,
    '10.json',
    '10.txt',
    '.10.json.part',
    '0.json',
    '.0.json.part',
  ),
];

/** How a name, `$1`, is replaced. */
const kinds = {
  'a link to a file': `ln -s ${trap}/file "$1"`,
  'a link to a folder': `ln -s ${trap}/folder "$1"`,
  'a link to nothing': `ln -s ${trap}/new "$1"`,
  'a pipe': 'mkfifo -m 666 "$1"',
  'a device': 'mknod -m 666 "$1" c 1 5',
  'a folder': 'mkdir "$1"',
  'a socket': `perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$1"`,
} as const;
type Kind = keyof typeof kinds;
const names = Object.keys(kinds) as Kind[];

/** All but `mount-medium`, which is about a device, with the policy that lets them come to where those folders are looked at. */
const commands: readonly (readonly [command: string, ...mayEndWith: readonly number[]])[] = [
  ['nixmaker status', 0],
  ['nixmaker history', 0],
  ['nixmaker events', 0],
  ['nixmaker doctor', 0, 1],
  ['nixmaker metrics', 0],
  ['nixmaker floor', 0],
  ['nixmaker floor adopt', 64],
  ['nixmaker host-key', 0, 64],
  ['nixmaker store-key', 0],
  ['nixmaker age-key', 0, 78],
  ['nixmaker diff', 0],
  ['nixmaker check-policy /etc/nixmaker/policy.json /root/one.tar', 0],
  ['nixmaker keyring accept /root/one.tar', 65],
  ['nixmaker activate', 0],
  ['nixmaker write-receipts', 0],
  ['nixmaker repair', 0, 1],
  ['nixmaker repair-store', 0],
  ['nixmaker confirm', 0],
  ['nixmaker confirm --at-start', 0],
  ['nixmaker check-health', 0],
  // Root's own lock is held: it comes as far as the agent's.
  ['flock /var/lib/nixmaker/activation/lock nixmaker reboot --policy /etc/nixmaker/reboot.json', 0],
  ['nixmaker agent --once', 0, 1, 65, 75],
  ['nixmaker switch --tarball /root/two.tar', 0],
];

/** Everything as it would be without an attacker; then each name is replaced by the kind whose turn it is. */
const lay = `
rm -rf ${state} ${inbox} ${runtime} ${carrier}? ${trap}
mkdir -p ${trap}/folder
echo secret >${trap}/file; echo secret >${trap}/folder/file
install -d -o nixmaker -g nixmaker ${state} ${inbox} ${runtime} ${below(state, 'receipts', 'roots', 'work').join(' ')} \
  ${below(inbox, 'folder', 'done', 'refused').join(' ')} ${below(runtime, 'requests', 'visits', 'keyrings', 'vouchers', 'rooms', 'repairs', 'cache').join(' ')}
for n in 1 2 3 4 5; do
  install -d -o nobody ${carrier}$n ${carrier}$n/pool
  printf '{"schema":1,"transaction":"bbbbbbbbbbb%s","place":"${carrier}%s/pool","findings":[],"runs":[]}' $n $n >${runtime}/visits/$n.json
done
install -d -o nobody ${pool(3)}/nixmaker ${pool(4)}/nixmaker ${pool(4)}/nixmaker/receipts ${pool(5)}/nixmaker ${pool(5)}/nixmaker/receipts ${pool(5)}/nixmaker/receipts/web
chown nixmaker: ${runtime}/visits/*.json; chmod 600 ${runtime}/visits/*.json
`;

async function replaceAll(all: readonly string[], turn: number): Promise<Map<string, Kind>> {
  const replaced = new Map(all.map((name, i) => [name, names[(i + turn) % names.length] as Kind]));
  const steps = [...replaced].map(
    ([name, kind]) =>
      `replace() { ${kinds[kind]}; chown -h nixmaker: "$1"; }; rm -rf ${name}; replace ${name}`,
  );
  await bed.sh([lay, ...steps].join('\n'));
  return replaced;
}

const trapped = () =>
  bed.sh(`find ${trap} -printf '%p %y %s %m %u %T@ %C@\n' | sort; cat ${trap}/file ${trap}/folder/file`);

const isBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** What root was led to, made to wait at, or has left in folders that are not its own. */
function complaints(opened: readonly Opened[], replaced: ReadonlyMap<string, Kind>): string[] {
  return opened.flatMap(({ path, writes, line }) => {
    const kind = replaced.get(path);
    const isThing = kind === 'a pipe' || kind === 'a device' || kind === 'a socket';
    const isTheirs = [state, runtime].some((folder) => isBelow(path, folder));
    // Made with the agent’s own rights.
    const mayWrite = /^\.age\.identity\.part$/.test(path.slice(state.length + 1));
    if (isBelow(path, trap)) return [`led to ${line}`];
    // What is made anew has taken its place.
    if (isThing && !/\bO_EXCL\b/.test(line)) return [`opened ${kind}: ${line}`];
    return writes && isTheirs && !mayWrite ? [`wrote ${line}`] : [];
  });
}

const log = join(shop.folder, 'strace');

test('what strace(1) says is understood, pins left out and calls in two lines put together', () => {
  const opened = openedBy(
    [
      '7 openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 17</b>',
      '7 openat(AT_FDCWD, "/a", O_RDONLY|O_NOFOLLOW|O_PATH) = 17</a>',
      '7 openat(AT_FDCWD, "/a", O_RDONLY) = -1 ENOENT (No such file or directory)',
      '7 openat(AT_FDCWD, "/c", O_WRONLY|O_CREAT <unfinished ...>',
      '8 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/s"}, 110) = 0',
      '7 <... openat resumed>, 0666) = 18</c>',
    ].join('\n'),
  );
  assert.deepEqual(
    opened.map(({ path, writes }) => [path, writes]),
    [
      ['/b', false],
      ['/s', true],
      ['/c', true],
    ],
  );
});

type Command = (typeof commands)[number];

/** What a command has tried to open, and has opened. */
interface Tried {
  readonly command: Command;
  readonly calls: readonly string[];
  readonly opened: readonly Opened[];
}

const those = (tried: readonly Tried[], which: (tried: Tried) => boolean): Command[] =>
  tried.filter(which).map(({ command }) => command);
const verbsOf = (some: readonly Command[]) =>
  some.map(([command]) => command.split('nixmaker ')[1]?.split(' ')[0] ?? '');

/** Replaces all those names, runs the commands, and is content with none that was led anywhere. @returns what each tried */
async function runAll(all: readonly string[], turn: number, some: readonly Command[]): Promise<Tried[]> {
  const replaced = await replaceAll(all, turn);
  const before = await trapped();
  const { codes, said, opened, calls } = await straced(
    some.map(([command]) => command),
    { within: bed.command([]), log, seconds: 60 },
  );
  const faults = some.flatMap(([command, ...mayEndWith], i) => {
    const its = opened[i] ?? [];
    const code = codes[i] ?? -1;
    const sawIt = its.some(({ path }) => path === '/etc/nixmaker/settings.json');
    return [
      ...(mayEndWith.includes(code) ? [] : [`it exited with ${code}`]),
      ...(sawIt ? [] : ['strace saw nothing']),
      ...complaints(its, replaced),
    ].map((fault) => `${command}: ${fault}`);
  });
  assert.deepEqual(faults, [], said);
  assert.equal(await trapped(), before);
  return some.map((command, i) => ({ command, calls: calls[i] ?? [], opened: opened[i] ?? [] }));
}

/** Those that look into the folders at all, and into folders there; the others, once seen not to, are not run again. */
const curious = { outer: commands, inner: commands };

test('names in the agent’s folders and the inbox replaced: no command of root’s is led anywhere', async () => {
  const tried = await runAll(outer, 0, commands);
  const places = [state, inbox, runtime, carrier].map((folder) => `"${folder}`);
  curious.outer = those(tried, ({ calls }) => calls.some((call) => places.some((p) => call.includes(p))));
  const verbs = verbsOf(curious.outer);
  for (const verb of ['status', 'history', 'events', 'doctor', 'metrics', 'age-key', 'activate', 'agent'])
    assert.ok(verbs.includes(verb), `${verb} was to look there: ${verbs}`);
  for (const verb of ['write-receipts', 'reboot']) assert.ok(verbs.includes(verb), verb);
});

test('deeper, and in carriers’ folders: nor here', async () => {
  const tried = await runAll(inner, 0, curious.outer);
  const folders = new Set(inner.map((name) => dirname(name)));
  for (const base of [state, inbox, runtime]) folders.delete(base);
  curious.inner = those(tried, ({ opened }) => opened.some(({ path }) => folders.has(path)));
  const verbs = verbsOf(curious.inner);
  for (const verb of ['activate', 'write-receipts', 'agent']) assert.ok(verbs.includes(verb), `${verbs}`);
});

// Each name has met three kinds of thing by then; all seven before a release.
for (const turn of names.keys())
  if (turn > 0 && inSample(0, turn % 3, 3))
    test(`the same, each name by the next thing: ${turn} on`, async () => {
      await runAll(outer, turn, curious.outer);
      await runAll(inner, turn, curious.inner);
    });
