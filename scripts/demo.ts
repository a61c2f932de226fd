/**
 * The main job, start to end, on real Nix: two releases of the sample flake are built and signed, a sandboxed target
 * takes them from its inbox, and a tampered bundle is refused. Ends with 0 only if all of it happened.
 */
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunningAgent } from '../test/machines/agent.ts';
import { copySample, makeBuilder } from '../test/machines/builder.ts';
import { type Ran, run } from '../test/machines/program.ts';
import { makeTarget } from '../test/machines/sandboxed-target.ts';

const bold =
  process.stdout.isTTY && process.env.NO_COLOR === undefined
    ? (t: string) => `\u001b[1m${t}\u001b[0m`
    : (t: string) => t;
const say = (text: string) => process.stdout.write(`${text}\n`);
const step = (text: string) => say(`\n${bold(`== ${text}`)}`);
const show = (text: string) => say(text.trimEnd().replace(/^/gm, '   '));

function must(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`it exited with ${ran.code ?? ran.signal}\n${ran.stdout}${ran.stderr}`);
  return ran;
}

async function receiptOf(agent: RunningAgent, name: string): Promise<string> {
  const settled = await agent.waitFor(
    (line) => line.event === 'settled' && String(line.bundle).endsWith(`/${name}`),
  );
  return readFile(String(settled.report), 'utf8');
}

async function demo(place: string): Promise<void> {
  const builder = await makeBuilder(join(place, 'builder'));
  const flake = join(place, 'sample');
  await copySample(flake);
  const build = async () => {
    const args = [
      'build',
      '--flake',
      `path:${flake}`,
      '--dir',
      join(place, 'bundles'),
      '--key',
      join(place, 'fleet-1.secret'),
    ];
    show(must(await builder.nixmaker(args)).stdout);
  };

  step('At the desk: create a key, then build and sign a bundle for every host of the flake');
  const publicKey = must(await builder.nixmaker(['keygen', 'fleet-1', '--out', place])).stdout.trim();
  show(`public key: ${publicKey}`);
  await build();

  step('At the machine “first”: the agent watches its inbox; Nix trusts only that key');
  const target = await makeTarget(join(place, 'first'), { host: 'first', trustedKeys: [publicKey] });
  const bundle = join(place, 'bundles', 'first', 'first.tar');
  try {
    const agent = await target.startAgent();
    await copyFile(bundle, join(target.inbox, 'release-1.tar'));
    show(await receiptOf(agent, 'release-1.tar'));

    step('A new release; one copy is tampered with on the way');
    await writeFile(join(flake, 'release'), '2\n');
    await build();
    const bytes = await readFile(bundle);
    // A bit of the last NAR, some bytes after the magic number of its zstd frame (RFC 8878).
    const at = bytes.lastIndexOf(Buffer.from('28b52ffd', 'hex')) + 30;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(join(target.inbox, 'tampered.tar'), bytes);
    show(await receiptOf(agent, 'tampered.tar'));

    step('The genuine one arrives');
    await copyFile(bundle, join(target.inbox, 'release-2.tar'));
    show(await receiptOf(agent, 'release-2.tar'));
    await agent.stop();

    step('What the machine reports');
    show(must(await target.verb('status')).stdout.split('\n\n')[0] ?? '');
    show('');
    show(must(await target.verb('history')).stdout);
    const motd = await target.run([
      'sh',
      '-c',
      'cat /run/current-system/etc/motd; grep -h ^version /boot/loader/entries/*',
    ]);
    show(`\nmotd and boot loader: ${must(motd).stdout.replaceAll('\n', ' ')}`);
    if (!motd.stdout.includes('Release 2') || (await target.profile()) !== 'system-2-link')
      throw new Error('the machine is not running release 2');
    say(
      `\n${bold('Committed: “first” runs generation 2 and will boot it; the tampered bundle changed nothing.')}`,
    );
  } finally {
    await target.close();
  }
}

const place = await mkdtemp(join(tmpdir(), 'nixmaker-demo-'));
try {
  await demo(place);
} finally {
  // Nix makes its stores read-only.
  await run('chmod', ['--recursive', 'u+w', place]);
  await rm(place, { recursive: true, force: true });
}
