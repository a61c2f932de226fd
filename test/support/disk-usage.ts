/**
 * disk-usage.ts FOLDER BUNDLE KEY: a target in FOLDER, a file system of its own, takes BUNDLE from its inbox while
 * the space in use is watched. Prints one line of JSON. Everything the target writes lies in FOLDER.
 */
import { copyFile, rename, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTarget } from '../../scripts/sandboxed-target.ts';

const [folder = '', bundle = '', key = ''] = process.argv.slice(2);
const target = await makeTarget(join(folder, 'target'), { host: 'web', trustedKeys: [key] });
const used = async () => {
  const { blocks, bfree, bsize } = await statfs(folder);
  return (blocks - bfree) * bsize;
};
await copyFile(bundle, join(target.inbox, '.web.tar'));
const before = await used();
let peak = before;
let samples = 0;
const watching = setInterval(async () => {
  peak = Math.max(peak, await used());
  samples += 1;
}, 5);
const agent = await target.startAgent();
await rename(join(target.inbox, '.web.tar'), join(target.inbox, 'web.tar'));
const settled = await agent.waitFor((line) => ['settled', 'failed', 'deferred'].includes(String(line.event)));
clearInterval(watching);
const after = await used();
await target.close();
const { event, code } = settled;
process.stdout.write(`${JSON.stringify({ event, code, before, peak, after, samples })}\n`);
