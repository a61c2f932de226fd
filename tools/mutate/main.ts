/**
 * npm run mutate [-- COUNT|all|checks [SEED [PATH…]]]: changes the sources in one small place at a time, and runs the fast tests that reach
 * it. Anything none of them notices is a missing test. `checks`: every check on root’s side, dropped. PATH: only below these.
 * Survivors are written to test/out/mutants.txt; changes with no visible effect are listed in equivalent.json.
 */
import { writeFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { reachedFrom } from '../../test/project/imports.ts';
import { randomFrom } from '../../test/support/mutate.ts';
import {
  digestOf,
  type FastTest,
  fastTestFiles,
  measure,
  reaches,
  readGraph,
  runTest,
} from './fast-tests.ts';
import { type Mutant, mutantsOf } from './mutants.ts';

const checkout = resolve(import.meta.dirname, '../..');
const out = join(checkout, 'test/out');
const critical = ['core', 'signing', 'bundle', 'state', 'target/root', 'target/activate'];
const ofRoot = ['src/target/root/', 'src/target/activate/'];

const [count = '200', seed = '1', ...paths] = process.argv.slice(2);
const say = (text: string) => process.stdout.write(`${text}\n`);
const folderOf = (file: string) => critical.find((c) => file.startsWith(`src/${c}/`)) ?? 'other';

interface Equivalent {
  readonly file: string;
  readonly change: string;
  readonly reason: string;
}

const graph = readGraph(checkout);
const equivalent = JSON.parse(
  await readFile(join(import.meta.dirname, 'equivalent.json'), 'utf8'),
) as Equivalent[];
const isEquivalent = (m: Mutant) => equivalent.some((e) => e.file === m.file && e.change === m.change);
const sources = [...graph.keys()].filter((f) => folderOf(f) !== 'other');
const all = sources.flatMap((file) => mutantsOf(checkout, file));
for (const { file, change } of equivalent)
  if (!all.some((m) => m.file === file && m.change === change))
    say(`equivalent.json: there is no such change any more: ${file}: ${change}`);

const chosen = choose();
const tests = await measureAll();
const work = chosen.entries();
const survivors: Mutant[] = [];
/** Noticed only by a deadline. */
const late: Mutant[] = [];
let done = 0;
await Promise.all(Array.from({ length: availableParallelism() }, worker));
await report();

function choose(): Mutant[] {
  const among = all.filter(
    (m) => !isEquivalent(m) && (paths.length === 0 || paths.some((p) => m.file.startsWith(p))),
  );
  if (count === 'all') return among;
  if (count === 'checks')
    return among.filter((m) => m.kind === 'check dropped' && ofRoot.some((p) => m.file.startsWith(p)));
  const random = randomFrom(Number(seed));
  return Array.from({ length: Math.min(Number(count), among.length) }, () =>
    among.splice(random(among.length), 1),
  ).flat();
}

/** Anything unchanged since the last time is not measured again. */
async function measureAll(): Promise<FastTest[]> {
  await mkdir(out, { recursive: true });
  const file = join(out, 'mutate-baseline.json');
  const known = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, FastTest>;
  const now: Record<string, FastTest> = {};
  const changed = new Set(chosen.map((m) => m.file));
  const mayNotice = (test: string) => [...reachedFrom(graph, [test])].some((f) => changed.has(f));
  const files = fastTestFiles(graph).filter(mayNotice).entries();
  await Promise.all(
    Array.from({ length: availableParallelism() }, async () => {
      for (const [, test] of files) {
        const digest = await digestOf(checkout, graph, test);
        now[digest] = known[digest] ?? (await measure(checkout, test));
        // Immediately, because measuring takes minutes and may be cut off; for a test that changed meanwhile, only what is new.
        writeFileSync(file, JSON.stringify({ ...withoutOlder(known, now), ...now }));
      }
    }),
  );
  // Tests that reach little else come first: what they reach is what they are about.
  const breadth = ({ reached }: FastTest) => Object.keys(reached).length;
  const measured = Object.values(now).toSorted((a, b) => breadth(a) - breadth(b) || a.duration - b.duration);
  say(
    `${measured.length} files of fast tests; ${measured.flatMap((t) => t.left).length} slow tests of them left out`,
  );
  return measured;
}

type Measured = Readonly<Record<string, FastTest>>;

function withoutOlder(known: Measured, now: Measured): Measured {
  const newer = new Set(Object.values(now).map((t) => t.file));
  return Object.fromEntries(Object.entries(known).filter(([, t]) => !newer.has(t.file)));
}

async function worker(): Promise<void> {
  for (const [, mutant] of work) {
    const noticed = await isNoticed(mutant);
    done += 1;
    if (noticed) continue;
    survivors.push(mutant);
    say(`${done}/${chosen.length} ${mutant.file}:${mutant.line} ${mutant.kind}: ${mutant.change}`);
  }
}

/** One that never ends is noticed too: its test has a deadline. */
async function isNoticed(mutant: Mutant): Promise<boolean> {
  const { file, start, end, replacement } = mutant;
  const change = JSON.stringify({ path: join(checkout, file), start, end, replacement });
  for (const test of tests.filter((t) => reaches(t, mutant))) {
    const { ok, isLate } = await runTest(checkout, {
      file: test.file,
      left: test.left,
      env: { NIXMAKER_MUTANT: change },
      deadline: 60_000 + 10 * test.duration,
    });
    if (isLate) late.push(mutant);
    if (!ok) return true;
  }
  return false;
}

async function report(): Promise<void> {
  const score = (among: readonly Mutant[]) => {
    const missed = among.filter((m) => survivors.includes(m)).length;
    const percent = among.length === 0 ? 100 : Math.round((100 * (among.length - missed)) / among.length);
    return `${among.length - missed} of ${among.length} (${percent} %)`;
  };
  const lines = critical.map((c) => `${c.padEnd(16)} ${score(chosen.filter((m) => folderOf(m.file) === c))}`);
  const checks = chosen.filter((m) => m.kind === 'check dropped' && ofRoot.some((p) => m.file.startsWith(p)));
  lines.push(`all              ${score(chosen)}`, `root’s checks    ${score(checks)}`);
  lines.push(`of them by a deadline alone: ${late.length}`);
  say(`noticed:\n${lines.join('\n')}`);
  const sorted = survivors.toSorted((a, b) =>
    a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1,
  );
  const told = sorted.map((m) => {
    const reach = tests.filter((t) => reaches(t, m)).map((t) => t.file.replace(/^test\//, ''));
    return `${m.file}:${m.line} ${m.kind}\n  ${m.change}\n  ${reach.length === 0 ? 'no fast test reaches it' : reach.join(' ')}\n`;
  });
  await writeFile(join(out, 'mutants.txt'), `${lines.join('\n')}\n\n${told.join('')}`);
}
