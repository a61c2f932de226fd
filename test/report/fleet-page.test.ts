/** The fleet page in a real browser: axe-core finds nothing, in light and dark, on a desk and on a phone; nothing is loaded. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeHost, type PageHost } from '../../src/report/fleet-condition.ts';
import { renderFleetPage } from '../../src/report/fleet-page.ts';
import { checkout, run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';

const browser = process.env.NIXMAKER_BROWSER;
if (browser === undefined) throw new Error('no browser: run the tests with `npm test` or scripts/test');
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const now = new Date('2026-11-26T12:00:00Z');

const wellHost = (host: string): PageHost => ({
  host,
  heard: true,
  collected: '2026-11-20T09:00:00Z',
  at: '2026-11-20T08:00:00Z',
  unreadable: 0,
  returned: false,
  runs: [
    { at: '2026-10-01T08:00:00Z', state: 'rolled-back', code: 'health-failed', sequence: 6, name: '26.05.6' },
    { at: '2026-11-20T08:00:00Z', state: 'committed', code: undefined, sequence: 7, name: '26.05.7' },
  ],
  detail: undefined,
  agentSays: [],
  found: [],
  held: [],
  release: 7,
  floor: 7,
  former: [],
  versions: { nixos: '26.05', nixmaker: '0.1.0', kernel: 'Linux 6.18.1' },
  failedUnits: [],
  freeBytes: 12 * 1024 ** 3,
  restartNeeded: false,
  available: { sequence: 9, bytes: 400_000_000 },
});
const well = wellHost('bridge');
const hosts: readonly PageHost[] = [
  well,
  {
    ...well,
    host: 'engine',
    runs: [
      { at: '2026-11-20T08:00:00Z', state: 'refused', code: 'wrong-host', sequence: 9, name: undefined },
    ],
    detail: 'it is for “bridge”, <script>alert(1)</script>',
  },
  // Its own clock says what it likes.
  {
    ...well,
    host: 'galley',
    at: '2099-08-01T08:00:00Z',
    collected: '2026-08-01T08:00:00Z',
    available: { sequence: 7, bytes: 1 },
  },
  { ...well, host: 'kiosk', restartNeeded: true, available: undefined },
  {
    ...well,
    host: 'mast',
    failedUnits: ['radar.service', '"><img src=http://x/>.service'],
    freeBytes: undefined,
  },
  {
    ...well,
    host: 'new',
    runs: [],
    release: undefined,
    floor: undefined,
    versions: {},
    failedUnits: undefined,
  },
  {
    ...well,
    host: 'silent',
    heard: false,
    collected: undefined,
    at: undefined,
    runs: [],
    release: undefined,
    floor: undefined,
    versions: {},
    failedUnits: undefined,
    freeBytes: undefined,
  },
];

const page = (of: readonly PageHost[]) =>
  renderFleetPage({ hosts: of, now, staleAfter: 60, retired: ['<old>'] });

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

test('what comes from outside stays text, and nothing is loaded from anywhere', () => {
  const html = page(hosts);
  const tags = html.match(/<[a-z][^>]*>/g) ?? [];
  const suspect = tags.filter((tag) =>
    /^<(script|img|iframe|object|embed|link|base|form)\b|\s(src|srcset|action|poster|data|on[a-z]+)=/.test(
      tag,
    ),
  );
  assert.deepEqual(suspect, []);
  assert.doesNotMatch(html, /@import|url\(/);
  assert.deepEqual(
    [...html.matchAll(/\shref="([^"]*)"/g)].filter(([, to]) => !to?.startsWith('#')),
    [],
  );
  assert.match(html, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
  assert.match(html, /default-src 'none'/);
});

test('those that need somebody come first, with the reason and what to do; and the next stick is packed', () => {
  const html = page(hosts);
  const rows = [...html.matchAll(/<th scope="row"><a href="#host-([a-z]+)">/g)].map(([, host]) => host);
  assert.deepEqual(rows, ['mast', 'engine', 'new', 'silent', 'galley', 'kiosk', 'bridge']);
  assert.match(html, /<details class="are-unwell" id="host-engine" open>/);
  assert.match(html, /<dt>Next<\/dt><dd>[^<]+/);
  const next = /For the next stick<\/h2>(.*?)<\/section>/s.exec(html)?.[1] ?? '';
  assert.match(next, /<b>bridge<\/b>: has 7, gets 9/);
  assert.match(next, /<b>silent<\/b>: has an unknown one, gets 9/);
  assert.match(next, /No bundle here for 1 more/);
  assert.doesNotMatch(next, /galley|kiosk/);
  assert.match(html, /aria-label="1 of the last 2 runs succeeded"/);
});

test('a page says “nothing” only where everything is known', () => {
  const here = { ...well, available: { sequence: 7, bytes: 1 } };
  assert.match(page([here]), /Nothing: every host has its newest bundle/);
  for (const other of [
    { ...here, floor: undefined },
    { ...here, floor: 8 },
    { ...well, available: undefined },
  ])
    assert.doesNotMatch(page([here, other]), /every host has its newest/);
  assert.match(page([{ ...here, floor: 31 }]), /has 31, and will refuse 7/);
});

test('what a host’s condition is, and why', () => {
  const of = (change: Partial<PageHost>) => judgeHost({ ...well, ...change }, { now, staleAfter: 60 });
  const ended = (state: string) => [
    { at: well.at ?? '', state, code: undefined, sequence: 1, name: undefined },
  ];
  assert.deepEqual(of({}), { condition: 'well', reasons: [] });
  const long = '2026-09-01T00:00:00Z';
  const cases: readonly [Partial<PageHost>, string, RegExp][] = [
    [{ runs: ended('pending') }, 'waits', /after a restart/],
    [{ restartNeeded: true, release: 6 }, 'waits', /after a restart/],
    [{ runs: ended('refused') }, 'unwell', /refused/],
    [{ runs: ended('failed') }, 'unwell', /failed/],
    [{ runs: ended('rolled-back') }, 'unwell', /rolled back/],
    [{ collected: long }, 'stale', /Not seen for 86 days/],
    [{ collected: long, at: '2099-01-01T00:00:00Z' }, 'stale', /Not seen for 86 days/],
    [{ collected: long, failedUnits: ['a.service'] }, 'unwell', /^Failed: a\.service\. /],
    [
      { failedUnits: ['a.s', 'b.s', 'c.s', 'd.s', 'e.s'] },
      'unwell',
      /^Failed: a\.s, b\.s, c\.s and 2 more\.$/,
    ],
    [{ collected: undefined }, 'unknown', /when its newest receipt was collected/],
    [{ collected: '2027-01-01T00:00:00Z' }, 'unknown', /in the future/],
    [{ heard: false }, 'unknown', /No receipt/],
    [{ runs: [] }, 'unknown', /not taken a bundle yet/],
    [{ unreadable: 2 }, 'unknown', /2 of its stored receipts cannot be read/],
    [
      { found: ['/in/a (io-error)', 'b.tar.zip (misnamed)'] },
      'unwell',
      /it was given: \/in\/a \(io-error\), and 1 more/,
    ],
    [{ returned: true }, 'unknown', /retired/],
    [{ release: 6, held: [7] }, 'unwell', /Held at the machine: 7\. .*went back to release 6 after taking 7/],
    [{ held: [8] }, 'unwell', /Held at the machine: 8\. Not taken again until something newer comes/],
    [{ release: 6 }, 'unwell', /went back to release 6 after taking 7/],
    [{ release: undefined }, 'unknown', /system that none of its receipts mention/],
    [{ release: 8 }, 'unknown', /has not confirmed it/],
  ];
  for (const [change, condition, why] of cases) {
    const judged = of(change);
    assert.equal(judged.condition, condition, JSON.stringify(change));
    assert.match(judged.reasons.join(' '), why);
  }
  assert.equal(of({ runs: ended('superseded') }).condition, 'well');
});

test('what several hosts have in common is told once, and they stand together', () => {
  const failed = (host: string): PageHost => ({ ...well, host, failedUnits: ['a.service'] });
  const html = page([failed('host-10'), { ...well, host: 'host-3', held: [7] }, failed('host-2'), well]);
  const common = /<section aria-labelledby="common">.*<\/section>/.exec(html)?.[0] ?? '';
  assert.match(common, /<li><b>2 hosts<\/b>: Failed: a\.service\. host-2 and host-10\.<\/li>/);
  const order = [...html.matchAll(/<th scope="row"><a href="#host-([^"]*)"/g)].map(([, host]) => host);
  assert.deepEqual(order, ['host-2', 'host-10', 'host-3', 'bridge']);
  assert.doesNotMatch(page([failed('host-1'), well]), /aria-labelledby="common"/);
});

test('the table says why, by which name the release is known, and each number in the summary leads to its hosts', () => {
  const html = page(hosts);
  assert.match(html, /data-label="Why">Failed: radar\.service, /);
  assert.match(html, /data-label="Release"><span>7 <small>26\.05<\/small><\/span>/);
  const leads = [...html.matchAll(/<li class="\w+"><a href="#(are-\w+)"><b>(\d+)<\/b>/g)];
  assert.deepEqual(
    leads.map(([, id, count]) => [id, count]),
    [
      ['are-unwell', '2'],
      ['are-unknown', '2'],
      ['are-stale', '1'],
      ['are-waits', '1'],
      ['are-well', '1'],
    ],
  );
  for (const [, id] of leads) assert.match(html, new RegExp(`<tbody class="${id}" id="${id}">`));
  assert.match(page([well]), /<b>0<\/b> need attention<\/li>/);
  assert.match(page([well]), /<p>1 host, /);
});

test('the time line has every release of a host with its name, newest first', () => {
  const line = /<ol class="line">(.*?)<\/ol>/.exec(page([well]))?.[1] ?? '';
  assert.match(
    line,
    /^<li class="ok"><time>2026-11-20 08:00<\/time> done, release 7 <small>26\.05\.7<\/small><\/li>/,
  );
  assert.match(
    line,
    /<li class="no"><time>2026-10-01 08:00<\/time> rolled back \(health-failed\), release 6/,
  );
  const [run] = well.runs;
  const many = { ...well, runs: Array.from({ length: 25 }, () => ({ ...(run as (typeof well.runs)[0]) })) };
  assert.match(page([many]), /5 older not shown/);
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
