/** The fleet page in a real browser: axe-core finds nothing, in light and dark, on a desk and on a phone; chosen, printed, looked at. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkout, run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { hosts, page, well } from '../support/fleet-hosts.ts';

const browser = process.env.NIXMAKER_BROWSER;
if (browser === undefined) throw new Error('no browser: run the tests with `npm test` or scripts/test');
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
interface Look {
  readonly width: number;
  readonly dark?: boolean;
  readonly args: readonly string[];
}

async function look(folder: string, file: string, { width, dark, args }: Look): Promise<string> {
  const ran = await run(browser as string, [
    `--user-data-dir=${join(folder, 'profile')}`,
    `--window-size=${width},1400`,
    '--hide-scrollbars',
    `--blink-settings=preferredColorScheme=${dark === true ? 0 : 1}`,
    '--virtual-time-budget=20000',
    ...args,
    `file://${file}`,
  ]);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

/** The page with axe-core in it, which writes what it found into the document. */
async function violations(folder: string, html: string, how: Omit<Look, 'args'>): Promise<string[]> {
  const file = join(folder, 'audited.html');
  const audit = `<script>${axe.replaceAll('</script', '<\\/script')}</script><script>axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'] }).then((r) => { const out = document.createElement('pre'); out.id = 'found'; out.textContent = JSON.stringify({ dark: matchMedia('(prefers-color-scheme: dark)').matches, width: innerWidth, passes: r.passes.length, violations: r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.html).join(' ')) }); document.body.append(out); });</script>`;
  await writeFile(file, html.replace(/<meta http-equiv[^>]*>/, '').replace('</body>', `${audit}</body>`));
  const dom = await look(folder, file, { ...how, args: ['--dump-dom'] });
  const text = /<pre id="found">(.*?)<\/pre>/s.exec(dom)?.[1];
  assert.ok(text !== undefined, 'axe-core has not come to an end');
  const found = JSON.parse(text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')) as {
    dark: boolean;
    width: number;
    passes: number;
    violations: string[];
  };
  assert.deepEqual([found.dark, found.width], [how.dark === true, how.width], 'it looked as it was told to');
  assert.ok(found.passes > 15, `only ${found.passes} rules had something to look at`);
  return found.violations;
}

for (const [name, how] of [
  ['a desk', { width: 1280 }],
  ['a desk in the dark', { width: 1280, dark: true }],
  ['a phone', { width: 500 }],
  ['a phone in the dark', { width: 500, dark: true }],
] as const) {
  test(`accessible on ${name}, by axe-core`, async (t) => {
    const folder = await temporaryFolder(t);
    assert.deepEqual(await violations(folder, page(hosts), how), []);
  });
}

test('a page that is not accessible is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const spoiled = page(hosts).replace('lang="en"', '').replaceAll('--soft: #57606a', '--soft: #cccccc');
  const found = (await violations(folder, spoiled, { width: 1280 })).map((v) => v.split(':')[0]);
  assert.ok(found.includes('html-has-lang') && found.includes('color-contrast'), found.join(' '));
});

test('screenshots for people to look at, with no host, one, seven, two hundred and a thousand', async (t) => {
  const folder = await temporaryFolder(t);
  const out = join(checkout, 'test/out');
  await mkdir(out, { recursive: true });
  const many = Array.from({ length: 200 }, (_, i) => ({
    ...(hosts[i % hosts.length] ?? well),
    host: `host-${i}`,
  }));
  const thousand = Array.from({ length: 1000 }, (_, i) => ({ ...well, host: `host-${i}` }));
  for (const [name, of, how] of [
    ['fleet', hosts, { width: 1280 }],
    ['fleet-dark', hosts, { width: 1280, dark: true }],
    ['fleet-phone', hosts, { width: 500 }],
    ['fleet-none', [], { width: 1280 }],
    ['fleet-many', many, { width: 1280 }],
    ['fleet-one', [well], { width: 1280 }],
    ['fleet-thousand', thousand, { width: 1280 }],
  ] as const) {
    const file = join(folder, `${name}.html`);
    await writeFile(file, page(of));
    const shot = join(folder, `${name}.png`);
    await look(folder, file, { ...how, args: [`--screenshot=${shot}`] });
    const png = await readFile(shot);
    assert.equal(png.subarray(1, 4).toString(), 'PNG');
    await writeFile(join(out, `${name}.png`), png);
  }
});

test('chosen by condition, the other hosts are hidden, without a script; on paper there is the table alone', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'chosen.html');
  const visible = `<script>addEventListener('load', () => { const out = document.createElement('pre'); out.id = 'shown'; out.textContent = [...document.querySelectorAll('tbody tr, details')].filter((e) => e.checkVisibility()).map((e) => e.id || e.querySelector('a').textContent).join(' '); document.body.append(out); });</script>`;
  const html = page(hosts)
    .replace(/<meta http-equiv[^>]*>/, '')
    .replace('</body>', `${visible}</body>`);
  const shownBy = async (text: string) => {
    await writeFile(file, text);
    const dom = await look(folder, file, { width: 1280, args: ['--dump-dom'] });
    return /<pre id="shown">(.*?)<\/pre>/.exec(dom)?.[1];
  };
  assert.equal((await shownBy(html))?.split(' ').length, 2 * hosts.length);
  const chosen = html
    .replace(' id="show-all" checked', ' id="show-all"')
    .replace(' id="show-stale"', ' id="show-stale" checked');
  assert.equal(await shownBy(chosen), 'galley host-galley');
  assert.match(html, /id="show-stale"><label/);
  assert.doesNotMatch(page([well]), /<fieldset/, 'there is nothing to choose');
  const pdf = join(folder, 'fleet.pdf');
  const forty = Array.from({ length: 40 }, (_, i) => ({
    ...(i % 5 === 0 ? (hosts[i / 5] ?? well) : well),
    host: `host-${i}`,
    available: undefined,
  }));
  await writeFile(file, page(forty));
  await look(folder, file, { width: 1280, args: [`--print-to-pdf=${pdf}`, '--no-pdf-header-footer'] });
  const pages = (await readFile(pdf, 'latin1')).match(/\/Type\s*\/Page\b/g) ?? [];
  assert.equal(pages.length, 1);
});
