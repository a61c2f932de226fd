/**
 * disk-usage.ts FOLDER BUNDLE KEY [fill|squeeze]: a target in FOLDER, a file system of its own, takes BUNDLE from its inbox while
 * the space in use is watched. Prints one line of JSON. Everything the target writes lies in FOLDER. With `fill` somebody
 * else takes all the room once the import has begun, with `squeeze` all but the reserve and a part of what is to come, and gives it back
 * once the bundle waits.
 */
import { copyFile, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './program.ts';
import { makeTarget } from './sandboxed-target.ts';

const [folder = '', bundle = '', key = '', fill = ''] = process.argv.slice(2);
const mebi = 1024 * 1024;
const reserve = 48 * mebi;
const policy = fill === 'squeeze' ? { limits: { freeBytes: reserve } } : {};
const target = await makeTarget(join(folder, 'target'), { host: 'web', trustedKeys: [key], policy });
const space = async () => {
  const { blocks, bfree, bsize } = await statfs(folder);
  return { used: (blocks - bfree) * bsize, free: bfree * bsize };
};
const used = async () => (await space()).used;
await copyFile(bundle, join(target.inbox, '.web.tar'));
const before = await used();
let peak = before;
let samples = 0;
let least = Number.POSITIVE_INFINITY;
const watching = setInterval(async () => {
  const now = await space();
  peak = Math.max(peak, now.used);
  least = Math.min(least, now.free);
  samples += 1;
}, 5);
const agent = await target.startAgent();
await rename(join(target.inbox, '.web.tar'), join(target.inbox, 'web.tar'));
if (fill === 'fill') {
  await agent.waitFor((line) => line.event === 'accepted');
  const filler = join(folder, 'filler');
  await run('sh', ['-c', 'cat /dev/zero >"$1" 2>/dev/null', 'sh', filler]);
  await agent.waitFor((line) => line.event === 'deferred' && line.code === 'no-space');
  await rm(filler);
}
/** What is left of the first try, beside what was there before. */
let left: number | undefined;
if (fill === 'squeeze') {
  await agent.waitFor((line) => line.event === 'accepted');
  const filler = join(folder, 'filler');
  const bytes = (await space()).free - reserve - 32 * mebi;
  const taken = await run('fallocate', ['--length', String(bytes), filler]);
  if (taken.code !== 0) throw new Error(taken.stderr);
  await agent.waitFor((line) => line.event === 'deferred' && line.code === 'no-space');
  left = (await used()) - bytes - before;
  await rm(filler);
}
const settled = await agent.waitFor((line) =>
  ['settled', 'failed', ...(fill === '' ? ['deferred'] : [])].includes(String(line.event)),
);
clearInterval(watching);
const after = await used();
await target.close();
const { event, code } = settled;
process.stdout.write(`${JSON.stringify({ event, code, before, peak, after, samples, least, left })}\n`);
