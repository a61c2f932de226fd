/** What people read has one apostrophe, and lines that a terminal shows whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { documents, read } from './documents.ts';

/** Written from the code; its own texts are held elsewhere. */
const generated = /^docs\/(?:codes|commands|options|attacks|json\/README)\.md$/;
const written = documents.filter((document) => !generated.test(document));

interface Line {
  readonly place: string;
  readonly text: string;
}

/** The lines of the prose, without blocks of code. */
function proseOf(document: string, text: string): Line[] {
  let inBlock = false;
  return text.split('\n').flatMap((line, i) => {
    const isFence = line.trimStart().startsWith('```');
    if (isFence) inBlock = !inBlock;
    return isFence || inBlock ? [] : [{ place: `${document}:${i + 1}`, text: line }];
  });
}

const prose = written.flatMap((document) => proseOf(document, read(document)));

/** Code and addresses keep their own. */
const withoutCode = (text: string) => text.replace(/`[^`]*`|\]\([^)]*\)|<[^>]*>/g, '');
const isStraight = ({ text }: Line) => /\w'\w|s' /.test(withoutCode(text));

/** Tables, pictures, headings and what has no space to break at may be longer. */
const isTooLong = ({ text }: Line) => text.length > 110 && !/^(?:\||<|!\[|#|\S+$)/.test(text.trimStart());

test('documents have one apostrophe', () => {
  assert.ok(prose.length > 1500, `${prose.length} lines`);
  assert.deepEqual(
    prose.filter(isStraight).map(({ place }) => place),
    [],
  );
});

test('lines of documents have at most 110 characters', () => {
  assert.deepEqual(
    prose.filter(isTooLong).map(({ place }) => place),
    [],
  );
});

test('what breaks these rules would be found', () => {
  const [straight, code, long, table] = proseOf(
    'x',
    `can't\n\`can't\`\n${'word '.repeat(30)}\n| ${'word '.repeat(30)} |\n\`\`\`sh\ncan't\n\`\`\``,
  ) as [Line, Line, Line, Line];
  assert.deepEqual([isStraight(straight), isStraight(code)], [true, false]);
  assert.deepEqual([isTooLong(long), isTooLong(table)], [true, false]);
});
