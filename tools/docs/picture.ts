/** picture.ts FILE <OUTPUT-OF-THE-DEMO: the README’s picture of a terminal, from what the demo really printed (`npm run pictures`). */
import { readFileSync, writeFileSync } from 'node:fs';

const [file = ''] = process.argv.slice(2);

const lineHeight = 18;
const characterWidth = 8.2;
const margin = 16;
const colours = { title: '#79c0ff', REFUSED: '#ff7b72', DONE: '#7ee787', label: '#8b949e', text: '#e6edf3' };

/** What the demo prints below a heading, without its margin. */
function section(output: string, heading: string): string[] {
  const [, rest] = output.split(`== ${heading}`);
  const body = rest?.split('\n== ')[0];
  if (body === undefined) throw new Error(`the demo has no “${heading}”`);
  return body
    .split('\n')
    .slice(1)
    .map((line) => line.replace(/^ {3}/, ''));
}

/** From the line that begins with `from` up to the one that begins with `to`. */
function part(lines: readonly string[], from: string, to: string): string[] {
  const begin = lines.findIndex((line) => line.startsWith(from));
  const end = lines.findIndex((line, i) => i >= begin && line.startsWith(to));
  if (begin < 0 || end < 0) throw new Error(`the demo says no ${from} … ${to}`);
  return lines.slice(begin, end + 1);
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll(' ', '\u00a0');

function coloured(line: string): string {
  if (line.startsWith('$ ')) return span(colours.title, line);
  if (line === 'REFUSED' || line === 'DONE') return span(colours[line], line);
  const [, label = '', rest = line] = /^([A-Z][a-z ]+: +)(.*)$/.exec(line) ?? [];
  return `${span(colours.label, label)}${span(colours.text, rest)}`;
}

const span = (colour: string, text: string) =>
  text === '' ? '' : `<tspan fill="${colour}">${escaped(text)}</tspan>`;

function draw(lines: readonly string[]): string {
  const width = Math.ceil(Math.max(...lines.map((l) => l.length)) * characterWidth) + 2 * margin;
  const height = lines.length * lineHeight + 2 * margin;
  const rows = lines.map(
    (line, i) => `<text x="${margin}" y="${margin + 13 + i * lineHeight}">${coloured(line)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, 'DejaVu Sans Mono', monospace" font-size="13" role="img" aria-labelledby="t">
<title id="t">What a machine reports: an update that was tampered with is refused, then the genuine one is installed</title>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
${rows.join('\n')}
</svg>
`;
}

const output = readFileSync(0, 'utf8').replaceAll(/\/tmp\/nixmaker-demo-\w+\/first/g, '/var/lib/nixmaker');
const tampered = section(output, 'A new release; one copy is tampered with on the way');
const genuine = section(output, 'The genuine one arrives');
writeFileSync(
  file,
  draw([
    '$ cat /var/lib/nixmaker/inbox/refused/tampered.tar.txt',
    ...part(tampered, 'REFUSED', 'Code:'),
    '',
    '$ cat /var/lib/nixmaker/inbox/done/release-2.tar.txt',
    ...part(genuine, 'DONE', 'What:'),
    '',
    ...part(genuine, 'Sequence:', 'Operation:'),
    ...part(genuine, 'Generation:', 'Generation:'),
    ...part(genuine, 'Signed by:', 'Imported:'),
  ]),
);
