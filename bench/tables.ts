/** Separate tables for figures that have a floor to compare with. */
import prettyBytes from 'pretty-bytes';
import type { FleetFigures, Measured } from './fleet.ts';
import type { ImportFigures } from './import.ts';
import { type Jump, type MonthsFigures, shareOf } from './months.ts';
import type { ScaleFigures } from './scale.ts';

export const s = (seconds: number) => `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
export const mebi = (bytes: number) => prettyBytes(bytes, { binary: true });
export const times = (ratio: number) => `${ratio.toFixed(2)} times`;

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

const jumpNames: Readonly<Record<Jump['kind'], string>> = {
  month: 'from month to month, mean',
  quarter: 'from quarter to quarter, mean',
  year: 'from the first to the last',
};

export function monthsTable({ packages, bytes, jumps, taken, several }: MonthsFigures): string {
  const percent = (share: number) => (Number.isNaN(share) ? '' : `${(100 * share).toFixed(1)} %`);
  const kinds = [...new Set(jumps.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const all = jumps.filter((j) => j.kind === kind);
    const worst = Math.max(...all.map((j) => j.ours / j.whole));
    const mean = (of: 'build' | 'buildWhole') => all.reduce((sum, j) => sum + j[of], 0) / all.length;
    const took = taken.find((t) => t.kind === kind);
    return [
      `${jumpNames[kind]} (${all.length})`,
      `${percent(shareOf(jumps, kind, 'ours'))}; ${percent(worst)}`,
      percent(shareOf(jumps, kind, 'files')),
      percent(shareOf(jumps, kind, 'chunks')),
      `${s(mean('build'))} (whole: ${s(mean('buildWhole'))})`,
      took === undefined ? '' : `${s(took.take)} (whole: ${s(took.takeWhole)}); ${mebi(took.memory)}`,
    ];
  });
  const any = `one bundle for hosts of any of the three months before`;
  return table(
    [
      `${packages} real packages, all rebuilt each month, whole ${prettyBytes(bytes)}: carried, of the whole`,
      'nixmaker; the worst',
      'files that are new',
      'chunks that are new (casync)',
      'build, processor',
      'taken; the agent’s peak',
    ],
    [...rows, [any, percent(several.ours / several.whole), '', '', '', '']],
  );
}

export const importsTables = (imports: ImportFigures) => `${takingTable(imports)}\n${sizesTable(imports)}`;

function takingTable(imports: ImportFigures): string {
  const { processor, floor } = imports;
  const ofFloor = (time: number) => times(time / floor);
  const ofProcessor = (time: number) => `${s(time)}, ${times(time / processor.floor)}`;
  return table(
    ['Taking', 'time', 'of the floor', 'processor time of client and daemon, of the floor’s'],
    [
      [
        'the floor: the same pieces through `zstd -d` and `sha256sum`, the same paths through `cp -a`, and a flush',
        s(floor),
        '1',
        `${s(processor.floor)}, 1`,
      ],
      [
        'from the inbox until committed: all checked, imported, flushed, switched',
        s(imports.take),
        ofFloor(imports.take),
        ofProcessor(processor.take),
      ],
      ['of that the import', s(imports.importOnly), ofFloor(imports.importOnly), ''],
      ['the same with `fsync-store-paths`', s(imports.importDurable), ofFloor(imports.importDurable), ''],
      [
        `\`nix copy\` from a plain \`file://\` folder of the same NARs, flushed (the import takes ${times(imports.importOnly / imports.plain)} as long)`,
        s(imports.plain),
        ofFloor(imports.plain),
        ofProcessor(processor.plain),
      ],
      [
        `classic: \`tar -xzf\`, \`nix copy\` from the folder, flushed (the import is ${times(imports.classic / imports.importOnly)} faster)`,
        s(imports.classic),
        ofFloor(imports.classic),
        '',
      ],
      ['until a bundle whose signature is spoiled is refused', s(imports.refuse), '', ''],
    ],
  );
}

/** The import alone, flushed. A process of Nix’s is started in its time; the agent runs already. */
function sizesTable({ smaller, ...whole }: ImportFigures): string {
  return table(
    [
      'Paths',
      'the floor',
      'the import, of the floor',
      '`nix copy` from `file://`, of the floor',
      'the import, of `nix copy`',
    ],
    [...smaller, whole].map((size) => [
      String(size.paths),
      s(size.floor),
      `${s(size.importOnly)}, ${times(size.importOnly / size.floor)}`,
      `${s(size.plain)}, ${times(size.plain / size.floor)}`,
      times(size.importOnly / size.plain),
    ]),
  );
}

export const scaleTable = (scale: ScaleFigures) =>
  table(
    [
      `${scale.hosts} hosts on one medium, with manifests of ${prettyBytes(scale.manifestBytes)} and contents of ${prettyBytes(scale.contentsBytes)}`,
      'time',
      'memory at most',
      'the floor, in the same run',
    ],
    [
      [
        '`inspect`',
        s(scale.inspect),
        `${scale.inspectMemory.toFixed(0)} MiB`,
        `the same files read by \`cat\`, and a start of Node.js: ${s(scale.inspectFloor)}, ${times(scale.inspect / scale.inspectFloor)}`,
      ],
      [
        '`put` of one host more, whose paths the others have',
        s(scale.put),
        `${scale.putMemory.toFixed(0)} MiB`,
        `its pieces read from the disk and hashed: ${s(scale.read)}, ${times(scale.put / scale.read)}`,
      ],
      [
        '`put` of the same onto an empty medium',
        s(scale.putFirst),
        '',
        `the bundle copied, flushed, read from the disk and hashed: ${s(scale.copied)}, ${times(scale.putFirst / scale.copied)}`,
      ],
      [
        '`put --clear`: what none of them needs is looked for',
        s(scale.clear),
        `${scale.clearMemory.toFixed(0)} MiB`,
        '',
      ],
    ],
  );

export function fleetTable({ hosts, receipts, floor, ...measured }: FleetFigures): string {
  const row = (what: string, { seconds, mebibytes }: Measured) => [
    what,
    s(seconds),
    `${mebibytes.toFixed(0)} MiB`,
    times(seconds / floor),
  ];
  return table(
    [`${hosts} hosts, ${receipts} receipts of each on a stick`, 'time', 'memory at most', 'of the floor'],
    [
      ['the floor: each receipt read, parsed, and its signature verified', s(floor), '', '1'],
      row('`collect`, the first time', measured.collect),
      row('`collect` of the same again', measured.again),
      row('`fleet`', measured.show),
      row('`fleet --html`', measured.page),
    ],
  );
}
