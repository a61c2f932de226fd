/**
 * The commands of tutorial and examples, run in their order: at the desk in the builder's namespace, at the machine in the target's,
 * with one folder for both. What can't be the same here (a stick's mount point, a key on a token) is named below, nothing else is
 * changed.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { copySample } from '../machines/builder.ts';
import { checkout, run } from '../machines/program.ts';
import { expectedExit, type Replacements, sceneIn } from '../support/document-scene.ts';
import { notPrinted, type Step, stepsOf } from '../support/document-steps.ts';
import { makeWorkplace } from '../support/fleet.ts';

const place = await makeWorkplace();

const scene = (name: string, host: string, replace: Replacements, moreKeys?: readonly string[]) =>
  sceneIn(place, { name, host, replace, ...(moreKeys === undefined ? {} : { moreKeys }) });

/** The machine that the tutorial offers who has none to spare: what is typed there takes the release. */
async function practise(steps: readonly Step[]): Promise<void> {
  const folder = join(place, 'tutorial');
  const call = steps.find(({ line }) => line.startsWith('practice-machine'))?.line ?? '';
  const [script = '', ...args] = call.split(' ');
  // On a copy of the stick: another machine by the same name would report with another key.
  await cp(join(folder, 'stick'), join(place, 'practice/stick'), { recursive: true });
  await cp(join(folder, 'fleet-1.public'), join(place, 'practice/fleet-1.public'));
  const typed = steps
    .filter(({ line }) => /^nixmaker (doctor|inspect --policy|agent)/.test(line))
    .slice(0, 3);
  const ran = await run(join(checkout, 'scripts', script), args, {
    cwd: join(place, 'practice'),
    input: typed.map(({ line }) => `${line}\n`).join(''),
  });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^DONE$/m);
}

test('what a document shows and a command does not print would be found', () => {
  assert.deepEqual(notPrinted(['a  b', 'c …', 'd'], 'a    b\nc 12\ndd\n'), ['d']);
});

test('the tutorial, from a key to a machine that went back', async () => {
  const all = stepsOf(await readFile(join(checkout, 'docs/tutorial.md'), 'utf8'));
  const steps = all.filter(({ line }) => !/^(export PATH|practice-machine)/.test(line));
  assert.ok(steps.length > 20, `${steps.length} commands`);
  assert.ok(steps.filter((s) => s.where === 'machine').length > 8);
  const { run: runStep } = await scene('tutorial', 'first', []);
  const said: string[] = [];
  for (const step of steps) {
    const ran = await runStep(step);
    assert.equal(ran.code, expectedExit(step.line), `${step.line}\n${ran.said}`);
    said.push(ran.said);
    const block = said.slice(steps.slice(0, said.length - 1).findLastIndex((s) => s.shown !== undefined) + 1);
    assert.deepEqual(notPrinted(step.shown ?? [], block.join('\n')), [], step.line);
    if (/^nixmaker put stick/.test(step.line) && said.length < steps.length / 2) await practise(all);
  }
  assert.ok(steps.filter((s) => s.shown !== undefined).length > 10);
  const after = (text: string) => said[steps.findIndex((s) => s.line.startsWith(text))] ?? '';
  assert.match(after('nixmaker list'), /first\s+second\s+third/);
  assert.match(after('nixmaker verify --key fleet-1.public changed.tar'), /bundle-(altered|malformed)/);
  assert.match(after('nixmaker agent'), /^DONE/m);
  assert.match(after('nixmaker fleet'), /first +well +1 +1 +done/);
  assert.match(said.at(-1) ?? '', /Sequence: +2/);
});

const withoutRemark = (line: string) => line.replace(/ +#.*/, '').trim();

test('what the README has people type is among the examples', async () => {
  const [readme, examples] = await Promise.all(
    ['README.md', 'docs/examples.md'].map((name) => readFile(join(checkout, name), 'utf8')),
  );
  const shown = stepsOf(readme as string).filter(({ line }) => line.startsWith('nixmaker '));
  assert.ok(shown.length >= 5, `${shown.length} commands`);
  const tried = new Set(stepsOf(examples as string).map(({ line }) => withoutRemark(line)));
  for (const { line } of shown) assert.ok(tried.has(withoutRemark(line)), line);
});

test('every command of the examples', async () => {
  const text = await readFile(join(checkout, 'docs/examples.md'), 'utf8');
  const desk = stepsOf(text).filter(({ line }) => /^(nixmaker|cp|cat|ssh)\b/.test(line));
  assert.ok(desk.length > 30, `${desk.length} commands`);
  const folder = join(place, 'readme');
  await mkdir(folder);
  await copySample(join(folder, 'sample'));
  const machines = join(folder, 'machines');
  await cp(join(folder, 'sample'), machines, { recursive: true });
  const flake = await readFile(join(machines, 'flake.nix'), 'utf8');
  await writeFile(
    join(machines, 'flake.nix'),
    flake
      .replace('first = mkSystem', 'web = mkSystem')
      .replace('"first"', '"web"')
      .replace('second = mkSystem', 'mail = mkSystem')
      .replace('"second"', '"mail"'),
  );
  const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'token')]);
  assert.equal(made.code, 0, made.stderr);
  const age = await import('age-encryption');
  const recipient = await age.identityToRecipient(await age.generateIdentity());
  const { run: runStep } = await scene('readme', 'web', [
    ['~/.ssh/id_ed25519_sk', join(folder, 'token')],
    ['age1…', recipient],
  ]);
  const ok = async (line: string, where: Step['where'] = 'desk') => {
    const ran = await runStep({ where, line });
    assert.equal(ran.code, 0, `${line}\n${ran.said}`);
  };
  await ok('nixmaker keygen second');
  await writeFile(
    join(folder, 'keys.json'),
    JSON.stringify({
      schema: 1,
      trustedKeys: [(await readFile(join(folder, 'second.public'), 'utf8')).trim()],
    }),
  );
  for (const step of desk) {
    // What the document takes for granted at that place.
    if (step.line.includes('keyring make')) await rewriteKeys(folder);
    if (step.line.startsWith('nixmaker collect')) await ok('nixmaker agent --once', 'machine');
    if (step.where === 'machine' && step.line.startsWith('cp web.tar')) {
      await ok(
        'echo 2 >machines/release; nixmaker build -f ./machines -d out --key fleet-1.secret --host web --sequence 50 && cp out/web/web.tar web.tar',
      );
    }
    if (step.line.startsWith('cat /var/lib')) await ok('nixmaker agent --once', 'machine');
    if (step.line.startsWith('nixmaker rollback')) await ok('nixmaker history', 'machine');
    const line = await withNewestReceipt(folder, step.line);
    const ran = await runStep({ ...step, line });
    const allowed = tolerated(line) ?? [0];
    assert.ok(allowed.includes(ran.code ?? -1), `${step.where}: ${line}\n${ran.code}: ${ran.said}`);
  }
});

/** Of a recipe, by the words that its heading has. */
async function recipe(words: string): Promise<string[]> {
  const text = await readFile(join(checkout, 'docs/how-to.md'), 'utf8');
  const section = text.split(/^## /m).find((each) => each.split('\n')[0]?.includes(words)) ?? '';
  const found = stepsOf(section).map(({ line }) => line);
  assert.ok(found.length > 1, words);
  return found;
}

test('the recipe for a key that was stolen, and the one for a second person', async () => {
  const folder = join(place, 'how-to');
  const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(place, 'ben')]);
  assert.equal(made.code, 0, made.stderr);
  const { run: runStep } = await scene(
    'how-to',
    'web',
    [['~/.ssh/id_ed25519', join(place, 'ben')]],
    ['second'],
  );
  const say = async (line: string, where: Step['where'] = 'desk', code = 0) => {
    const ran = await runStep({ where, line });
    assert.equal(ran.code, code, `${line}\n${ran.said}`);
    return ran.said;
  };
  for (const key of ['fleet-1', 'second']) await say(`nixmaker keygen ${key}`);
  await copySample(join(folder, 'machines'));
  const flake = join(folder, 'machines/flake.nix');
  await writeFile(flake, (await readFile(flake, 'utf8')).replaceAll('first', 'web'));
  await say('nixmaker build -f ./machines -d first --key fleet-1.secret --host web');
  await say('nixmaker put /media/stick first/web/web.tar');
  await say('nixmaker agent --once', 'machine');
  // The thief’s, signed with the key that was stolen, of a sequence that is as high as may be feared.
  await say('nixmaker build -f ./machines -d thief --key fleet-1.secret --host web --sequence 4999');
  const stolen = await recipe('lost or stolen');
  const [keygen = '', ...rest] = stolen;
  await say(keygen);
  const publicKey = async (name: string) => (await readFile(join(folder, `${name}.public`), 'utf8')).trim();
  const trustedKeys = [await publicKey('second'), await publicKey('fleet-2')];
  const ring = { schema: 1, version: 1, hosts: ['web', 'mail'], trustedKeys, threshold: 1, roles: {} };
  await writeFile(join(folder, 'keys.json'), JSON.stringify(ring));
  for (const line of rest) await say(line);
  await say('nixmaker agent --once', 'machine');
  assert.match(await say('nixmaker status', 'machine'), /Keyring: +version 1\b/);
  assert.match(await say('nixmaker floor', 'machine'), /^5001$/m, 'it runs what the new key signed');
  await say('cp thief/web/web.tar /var/lib/nixmaker/inbox/thief.tar');
  assert.match(await say('nixmaker agent --once', 'machine', 65), /signature-unknown-key/);
  // One that is set up anew from the old configuration, but for the least sequence.
  const policy = { host: 'web', operation: 'switch', minimumSequence: 5001 };
  const old = { schema: 1, ...policy, trustedKeys: [await publicKey('fleet-1')] };
  await writeFile(join(folder, 'old.json'), JSON.stringify(old));
  await say('chmod 644 old.json; nixmaker check-policy old.json thief/web/web.tar', 'desk', 77);
  for (const line of await recipe('second person')) await say(line);
  assert.match(await say('nixmaker inspect out/web/web.tar'), /\bben\b/);
});

/** 77: nothing waits for a person’s word, which is what a machine says that was switched. */
const tolerated = (line: string): readonly number[] | undefined =>
  line.startsWith('nixmaker confirm') ? [0, 64, 77] : undefined;

async function rewriteKeys(folder: string): Promise<void> {
  const key = (await readFile(join(folder, 'fleet-1.public'), 'utf8')).trim();
  await writeFile(
    join(folder, 'keys.json'),
    JSON.stringify({
      schema: 1,
      version: 1,
      hosts: ['web', 'mail', 'third'],
      trustedKeys: [key],
      threshold: 1,
      roles: {},
    }),
  );
}

async function withNewestReceipt(folder: string, line: string): Promise<string> {
  if (!line.includes('fleet/receipts/web/31.json')) return line;
  const names = (await readdir(join(folder, 'fleet/receipts/web'))).filter((n) => n.endsWith('.json')).sort();
  return line.replace('31.json', names.at(-1) ?? '');
}
