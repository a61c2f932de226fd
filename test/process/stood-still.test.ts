/** Deadlines of a process that stands still for longer than any of them: paused, frozen, stopped. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { awakeClock } from '../../src/process/clock.ts';
import { checkout } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';

/** A clock that a test moves: what sleeps, sleeps until it is there. */
function movedByHand() {
  let time = 0;
  const sleeping: { readonly due: number; readonly wake: () => void }[] = [];
  const clock = awakeClock({
    now: () => time,
    sleep: (milliseconds) => new Promise((wake) => sleeping.push({ due: time + milliseconds, wake })),
  });
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  /** All that is due by then wakes up, and only then. */
  const jumpTo = async (then: number) => {
    time = then;
    const due = sleeping.filter((s) => s.due <= then);
    for (const s of due) sleeping.splice(sleeping.indexOf(s), 1);
    for (const { wake } of due) wake();
    await settle();
  };
  /** In steps, as when nothing stands still. */
  const goTo = async (then: number) => {
    while (time < then) await jumpTo(Math.min(then, ...sleeping.map((s) => s.due).filter((d) => d > time)));
  };
  return { clock, jumpTo, goTo };
}

const startSleep = (clock: ReturnType<typeof awakeClock>, milliseconds: number) => {
  const state = { isOver: false };
  void clock.sleep(milliseconds).then(() => {
    state.isOver = true;
  });
  return state;
};

test('a deadline is over when its time has gone by, and not before', async () => {
  const { clock, goTo } = movedByHand();
  const deadline = startSleep(clock, 60_000);
  await goTo(59_999);
  assert.equal(deadline.isOver, false);
  await goTo(60_000);
  assert.equal(deadline.isOver, true);
  assert.equal(clock.monotonic(), 60_000);
});

test('a sleep that ends a little late has ended: a machine may have much to do', async () => {
  const { clock, jumpTo } = movedByHand();
  const deadline = startSleep(clock, 1000);
  await jumpTo(1900);
  assert.equal(deadline.isOver, true);
  assert.equal(clock.monotonic(), 1900);
});

test('the time does not count in which we stood still, and what was waited for has its turn before the deadline', async () => {
  for (const milliseconds of [1000, 60_000]) {
    const { clock, jumpTo, goTo } = movedByHand();
    const deadline = startSleep(clock, milliseconds);
    await jumpTo(86_400_000);
    assert.equal(deadline.isOver, false);
    assert.ok(clock.monotonic() <= 10_000, String(clock.monotonic()));
    await goTo(86_400_000 + milliseconds);
    assert.equal(deadline.isOver, true);
  }
});

test('several sleeps that end late together lose the time once', async () => {
  const { clock, jumpTo } = movedByHand();
  for (const milliseconds of [1000, 2000, 5000]) startSleep(clock, milliseconds);
  await jumpTo(100_000);
  assert.equal(clock.monotonic(), 1000);
});

/**
 * What a program says that is stopped for longer than its deadline, once it says that it has started. What it waits for comes meanwhile,
 * as `bytes` in a pipe that it has made.
 */
async function saysAfterStop(folder: string, code: string, bytes: string): Promise<string> {
  const [file, fifo] = [join(folder, 'program.mjs'), join(folder, 'fifo')];
  execFileSync('mkfifo', [fifo]);
  await writeFile(file, `const fifo = ${JSON.stringify(fifo)};\n${code}`);
  // Who has both ends waits for nobody (fifo(7)).
  const pipe = await open(fifo, 'r+');
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  try {
    assert.equal((await lines.next()).value, 'started');
    process.kill(child.pid as number, 'SIGSTOP');
    await pipe.write(bytes);
    // The deadlines below are one second.
    await sleep(2500);
    process.kill(child.pid as number, 'SIGCONT');
    return String((await lines.next()).value);
  } finally {
    child.kill('SIGKILL');
    await ended;
    await pipe.close();
  }
}

const source = (path: string) => JSON.stringify(join(checkout, 'src', path));

test('a program that has ended well while we were stopped has not timed out', async (t) => {
  const code = `
    import { runProgram } from ${source('process/run.ts')};
    const running = runProgram('head', ['-c', '4', fifo], { timeout: 1000 });
    console.log('started');
    const { exitCode, stdout, timedOut } = await running;
    console.log(JSON.stringify({ exitCode, stdout, timedOut }));`;
  const said = await saysAfterStop(await temporaryFolder(t), code, 'well');
  assert.deepEqual(JSON.parse(said), { exitCode: 0, stdout: 'well', timedOut: false });
});

test('a medium that has answered while we were stopped is not called stalled', async (t) => {
  const code = `
    import { open } from 'node:fs/promises';
    import { settingsParser } from ${source('core/policy/settings.ts')};
    import { systemClock } from ${source('process/clock.ts')};
    import { accessTo } from ${source('target/update/medium-access.ts')};
    const settings = settingsParser.parse({ media: { patience: 1 } });
    const { withDeadline } = accessTo({ clock: systemClock, settings }, { onMedium: true });
    const file = await open(fifo, 'r+');
    const read = withDeadline(async () => (await file.read(Buffer.alloc(9))).buffer.toString());
    console.log('started');
    console.log(await read.catch(({ code }) => code));`;
  assert.equal(await saysAfterStop(await temporaryFolder(t), code, 'its bytes'), 'its bytes');
});
