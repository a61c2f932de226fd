/** Tests that can be run by the hundred: those that start no machine and no compiled program. What each reaches, and how long it takes. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type ImportGraph, reachedFrom, readImportGraph } from '../../test/project/imports.ts';

/**
 * Milliseconds from which a file’s test is left out: a sample of mutants must not take a day. Processor time, so that a busy machine
 * leaves out no more than a quiet one; clock time for tests that wait.
 */
const slow = { processor: 2500, clock: 20_000 };

export interface Ran {
  readonly ok: boolean;
  /** It was ended at its deadline: it hangs, or the machine is too busy. */
  readonly isLate: boolean;
  /** What its reporter wrote. */
  readonly report: string;
}

/** What was reached in a source: functions with their blocks, as reported by V8. */
type Blocks = readonly (readonly {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}[])[];

export interface FastTest {
  readonly file: string;
  /** Milliseconds, not counting what is left out. */
  readonly duration: number;
  /** Names of tests that are left out. */
  readonly left: readonly string[];
  /** By source, relative to the checkout; for every process it started. */
  readonly reached: Readonly<Record<string, readonly Blocks[]>>;
}

/** Tests of the sources as text; and those that feed thousands of inputs to all readers at once. */
const others = ['test/project/', 'test/attacks/', 'test/desk/'];

/** ssh-keygen and nix-hash, for example, are not machines. */
const runsPrograms = 'test/machines/program.ts';
const small = /^test\/(?:signing|bundle)\//;

export function fastTestFiles(graph: ImportGraph): string[] {
  const isFast = (file: string) =>
    !others.some((folder) => file.startsWith(folder)) &&
    ![...reachedFrom(graph, [file])].some(
      (f) =>
        (f.startsWith('test/machines/') && !(f === runsPrograms && small.test(file))) ||
        f === 'test/support/targets.ts',
    );
  return [...graph.keys()].filter((f) => f.endsWith('.test.ts') && isFast(f));
}

export const readGraph = (checkout: string): ImportGraph =>
  new Map([
    ...readImportGraph(checkout, 'test'),
    ...readImportGraph(checkout, 'src'),
    ...readImportGraph(checkout, 'tools'),
  ]);

interface TestRun {
  readonly file: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly left?: readonly string[];
  /** Milliseconds. */
  readonly deadline: number;
}

export function runTest(checkout: string, { file, env = {}, left = [], deadline }: TestRun): Promise<Ran> {
  const here = join(checkout, 'tools/mutate');
  const args = [
    '--disable-warning=ExperimentalWarning',
    ...('NIXMAKER_MUTANT' in env ? [`--import=${pathToFileURL(join(here, 'preload.ts'))}`] : []),
    `--test-reporter=${pathToFileURL(join(here, 'reporter.ts'))}`,
    '--test-reporter-destination=stdout',
    ...left.map((name) => `--test-skip-pattern=^${name.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`),
    file,
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: checkout,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let report = '';
    child.stdout.on('data', (chunk) => {
      report += chunk;
      // The first failure is enough to know.
      if ('NIXMAKER_MUTANT' in env && report.includes('["test:fail"')) child.kill('SIGKILL');
    });
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, deadline);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, isLate, report });
    });
  });
}

/** @throws Error if it does not pass unchanged */
export async function measure(checkout: string, file: string): Promise<FastTest> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-mutate-'));
  try {
    const { ok, report } = await runTest(checkout, {
      file,
      env: { NODE_V8_COVERAGE: folder },
      deadline: 600_000,
    });
    if (!ok) throw new Error(`${file} fails as things are:\n${report}`);
    const ended = endedIn(report);
    // A file that is one test (in a store of its own) would be left out as a whole.
    const left = ended.length > 1 ? ended.filter((test) => test.isSlow) : [];
    const duration = ended.reduce((sum, t) => sum + (left.includes(t) ? 0 : t.duration), 500);
    return { file, duration, left: left.map((t) => t.name), reached: await readCoverage(checkout, folder) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Ended {
  readonly name: string;
  readonly duration: number;
  readonly isSlow: boolean;
}

/** As written by reporter.ts, one after another. */
function endedIn(report: string): Ended[] {
  const lines = report.split('\n').filter((line) => line.startsWith('["test:'));
  let before = 0;
  return lines.map((line) => {
    const [, duration, name, processor] = JSON.parse(line) as [string, number, string, number];
    // Loading is charged to the first test.
    const took = before === 0 ? 0 : processor - before;
    before = processor;
    return { name, duration, isSlow: took > slow.processor || duration > slow.clock };
  });
}

async function readCoverage(checkout: string, folder: string): Promise<Record<string, Blocks[]>> {
  const reached: Record<string, Blocks[]> = {};
  const sources = pathToFileURL(join(checkout, 'src/')).href;
  for (const name of await readdir(folder)) {
    const { result } = JSON.parse(await readFile(join(folder, name), 'utf8')) as {
      result: { url: string; functions: { ranges: Blocks[number] }[] }[];
    };
    for (const { url, functions } of result) {
      if (!url.startsWith(sources)) continue;
      const source = `src/${url.slice(sources.length)}`;
      reached[source] ??= [];
      reached[source].push(functions.map((f) => f.ranges));
    }
  }
  return reached;
}

/** Whether the test runs what is at this place. */
export function reaches({ reached }: FastTest, { file, start }: { file: string; start: number }): boolean {
  const holds = ({ startOffset, endOffset }: Blocks[number][number]) =>
    startOffset <= start && start < endOffset;
  return (reached[file] ?? []).some((functions) => {
    // Of nested functions the innermost, and of its blocks: each is within those before it.
    const around = functions.filter((blocks) => blocks[0] !== undefined && holds(blocks[0]));
    const size = (blocks: Blocks[number]) => (blocks[0]?.endOffset ?? 0) - (blocks[0]?.startOffset ?? 0);
    const innermost = around.toSorted((a, b) => size(a) - size(b))[0];
    return (innermost?.findLast(holds)?.count ?? 0) > 0;
  });
}

/** A digest of what a test depends on: if any of this changes, it is measured again. */
export async function digestOf(checkout: string, graph: ImportGraph, file: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of [...reachedFrom(graph, [file])].sort())
    hash.update(name).update(await readFile(join(checkout, name)).catch(() => ''));
  return hash.digest('hex');
}
