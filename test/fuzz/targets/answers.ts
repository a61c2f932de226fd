/** What other programs on the machine answer, and root’s answers to the agent: root’s or Nix’s word, but with names in it that are not. */
import assert from 'node:assert/strict';
import { NixmakerError } from '../../../src/core/errors.ts';
import {
  type ByteSource,
  encodeNumber,
  encodeString,
  encodeStrings,
  messages,
  readUntilDone,
  readValidInfo,
} from '../../../src/nix/daemon-wire.ts';
import { ProgressTally, parseLogLine } from '../../../src/nix/log.ts';
import { parsePlan } from '../../../src/nix/plan.ts';
import { storePathOf } from '../../support/releases.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { textLinesMutation } from '../mutations/lines.ts';
import { buffers, type Target } from './target.ts';

/** A connection that gives these bytes and is then closed. */
function connection(data: Buffer): ByteSource {
  let at = 0;
  return {
    take: async (bytes) => {
      if (bytes > data.length - at) throw new NixmakerError('nix-unavailable', 'it has hung up');
      at += bytes;
      return data.subarray(at - bytes, at);
    },
  };
}

const numbers = (...values: readonly number[]) => Buffer.concat(values.map(encodeNumber));
const words = [
  '\0'.repeat(8),
  '\x01\0\0\0\0\0\0\0',
  '\xff'.repeat(8),
  'stla',
  'ptxc',
  'gmlo',
  'TRTS',
  'POTS',
  'TLSR',
];

const validInfo: Target = {
  name: 'valid-info',
  readers: [
    'nix/daemon-wire.ts readValidInfo',
    'nix/daemon-wire.ts readNumber',
    'nix/daemon-wire.ts readString',
    'nix/daemon-wire.ts readStrings',
  ],
  seeds: () => [
    Buffer.concat([
      encodeNumber(1),
      encodeString('/nix/store/x.drv'),
      encodeString('a'.repeat(64)),
      encodeStrings([storePathOf(1)]),
      numbers(1, 100, 0),
      encodeStrings(['k:x', 'y'.repeat(2000)]),
      encodeString('text:sha256:x'),
    ]),
    encodeNumber(0),
  ],
  mutate: byteMutation(words),
  run: async (data) => {
    const read = await readValidInfo(connection(data), () => (signature) => signature.startsWith('k:'));
    for (const signature of read?.signatures ?? []) assert.ok(signature.startsWith('k:'));
  },
};

const daemonTalk: Target = {
  name: 'daemon-talk',
  readers: ['nix/daemon-wire.ts readUntilDone'],
  seeds: () => [
    Buffer.concat([
      numbers(messages.startActivity, 1, 3, 103),
      encodeString('copying'),
      numbers(2, 1),
      encodeString('x'),
      numbers(0, 5, 0),
      numbers(messages.result, 1, 105, 1, 0, 7),
      numbers(messages.next),
      encodeString('said'),
      numbers(messages.stopActivity, 1, messages.last),
    ]),
    Buffer.concat([
      ...[encodeNumber(messages.error), encodeString('Error'), encodeNumber(0), encodeString('x')],
      encodeString('no signature'),
    ]),
  ],
  mutate: byteMutation(words),
  run: async (data) => {
    const error = await readUntilDone(connection(data));
    assert.ok(error === undefined || typeof error === 'string');
  },
};

const logLines: Target = {
  name: 'log-lines',
  readers: ['nix/log.ts parseLogLine', 'nix/plan.ts parsePlan'],
  seeds: () =>
    buffers(
      '@nix {"action":"start","id":7,"type":103}\n@nix {"action":"result","id":7,"type":105,"fields":[1,2,0,0]}',
      '@nix {"action":"msg","level":1,"msg":"\\u001b[31mno"}\ncopying 2 paths...\ncopying path \'/nix/store/x\'',
      'these 2 derivations will be built:\n  /nix/store/x.drv\nthese paths will be fetched:\n  /nix/store/y',
    ),
  mutate: textLinesMutation,
  run: (data) => {
    const tally = new ProgressTally(({ done, expected }) =>
      assert.ok(typeof done === 'number' && expected > 0),
    );
    const lines = data.toString('utf8').split('\n');
    for (const line of lines) {
      const entry = parseLogLine(line);
      if (entry !== undefined) tally.add(entry);
    }
    parsePlan(lines);
  },
};

export const answerTargets: readonly Target[] = [validInfo, daemonTalk, logLines];
