/**
 * The fleet as a single HTML page that needs nothing else: no script, no font, no network. For a phone, a printer, a dark room, a
 * keyboard and a screen reader. Everything in it came from outside, and is escaped.
 */
import { alike, namesText, naturally } from '../core/alike.ts';
import { conditions, type JudgedBy, type Judgement, judgeHost, type PageHost } from './fleet-condition.ts';
import { details } from './fleet-host.ts';
import { text } from './fleet-html.ts';
import { nextStick } from './fleet-stick.ts';
import { fleetStyle } from './fleet-style.ts';
import { countWords, filter, filterStyle, hostsTable, type Row, summary } from './fleet-table.ts';

export interface PageRing {
  readonly name: string;
  readonly hosts: number;
  /** Why its turn has not come; undefined if it has, or if there are no bundles to compare with. */
  readonly why: string | undefined;
}

export interface FleetPage extends JudgedBy {
  readonly hosts: readonly PageHost[];
  /** Names of retired hosts. */
  readonly retired: readonly string[];
  /** First ring first. */
  readonly rings?: readonly PageRing[];
}

const hostCount = (count: number): string => (count === 1 ? '1 host' : `${count} hosts`);

export function renderFleetPage(page: FleetPage): string {
  const hosts = page.hosts
    .map((host) => ({ host, ...judgeHost(host, page) }))
    .sort(
      (a, b) =>
        conditions.indexOf(a.condition) - conditions.indexOf(b.condition) ||
        naturally(whyOf(a), whyOf(b)) ||
        naturally(a.host.host, b.host.host),
    );
  const unwell = hosts.filter((h) => h.condition === 'unwell').length;
  const when = page.now.toISOString().slice(0, 16).replace('T', ' ');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Fleet: ${hostCount(hosts.length)}, ${unwell} ${countWords('unwell', unwell)}</title>
<style>
${fleetStyle}${filterStyle}</style>
</head>
<body>
<a class="skip" href="#hosts">To the hosts</a>
<header>
<h1>Fleet</h1>
<p>${hostCount(hosts.length)}, from receipts collected up to <time datetime="${page.now.toISOString()}">${when} UTC</time>.</p>
${summary(hosts)}
${page.retired.length === 0 ? '' : `<p>Retired: ${page.retired.map(text).join(', ')}.</p>\n`}</header>
<main id="hosts">
${filter(hosts)}${hostsTable(hosts, page.now)}
${inCommon(hosts)}${ringList(page.rings ?? [])}${nextStick(page.hosts)}
<section aria-labelledby="details"><h2 id="details">Details</h2>
${hosts.map(details).join('\n')}
</section>
</main>
<footer><p>Written by nixmaker. “Seen” and “Collected” are this desk’s time; runs have the hosts’ own clocks. All times are UTC.</p></footer>
</body>
</html>
`;
}

const whyOf = ({ reasons }: Judgement): string => reasons.join(' ');

/** What several hosts have in common is one thing to look into. */
function inCommon(rows: readonly Row[]): string {
  const each = rows.flatMap(({ host, reasons }) => reasons.map((reason) => ({ host: host.host, reason })));
  const groups = alike(each, ({ reason }) => reason).filter((group) => group.length > 1);
  if (groups.length === 0) return '';
  const items = groups.map((group) => {
    const names = namesText(group.map(({ host }) => host));
    return `<li><b>${group.length} hosts</b>: ${text(group[0].reason)} ${text(names)}.</li>`;
  });
  return `<section aria-labelledby="common"><h2 id="common">Seen on several hosts</h2><ul>${items.join('')}</ul></section>\n`;
}

/** Who gets a release first, and what the others wait for. */
function ringList(rings: readonly PageRing[]): string {
  if (rings.length === 0) return '';
  const items = rings.map(({ name, hosts, why }) => {
    const waits = why === undefined ? '' : `; waiting: ${text(why)}`;
    return `<li><b>${text(name)}</b>: ${hostCount(hosts)}${waits}</li>`;
  });
  return `<section aria-labelledby="rings"><h2 id="rings">Rings</h2><ol>${items.join('')}</ol></section>\n`;
}
