/** Files of lines: a line changed, left out, repeated, moved, taken from another input. */
import { byteMutation, type Mutation, pick } from './bytes.ts';
import { jsonMutation } from './json.ts';

/** @param ofLine how one line is changed */
const linesWith =
  (ofLine: Mutation): Mutation =>
  (bytes, random, others) => {
    if (random(8) === 0) return asBytes(bytes, random, others);
    const lines = bytes.toString('latin1').split('\n');
    const at = random(lines.length);
    const line = lines[at] ?? '';
    const way = random(8);
    let changed = lines;
    if (way === 0) changed = lines.toSpliced(at, 1);
    else if (way === 1) changed = lines.toSpliced(random(lines.length), 0, line);
    else if (way === 2) changed = lines.toSpliced(at, 1).toSpliced(random(lines.length), 0, line);
    else if (way === 3)
      changed = lines.toSpliced(at, 0, pick(random, others).toString('latin1').split('\n')[0] ?? '');
    else if (way === 4) changed = lines.with(at, `${line}${pick(random, [' ', '\r', '\0', '\t', ','])}`);
    else changed = lines.with(at, ofLine(Buffer.from(line, 'latin1'), random, others).toString('latin1'));
    return Buffer.from(changed.join('\n'), 'latin1');
  };

const asBytes = byteMutation(['\n', '\n\n', '\r\n', '\0', ': ', '=', '==', ':', ' ', '[', ']', '"']);

export const jsonLinesMutation: Mutation = linesWith(jsonMutation);
export const textLinesMutation: Mutation = linesWith(asBytes);
