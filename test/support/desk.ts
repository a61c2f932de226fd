/** A desk for one test file: a builder, and a key that `nixmaker keygen` has made. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { makeBuilder } from '../machines/builder.ts';
import { type Keys, makeWorkplace } from './fleet.ts';

export async function makeDesk() {
  const folder = await makeWorkplace();
  const builder = await makeBuilder(join(folder, 'builder'));
  const nixmaker = (...args: string[]) => builder.nixmaker(args);
  /** A verb that must succeed; what it says. */
  const ok = async (...args: string[]): Promise<string> => {
    const ran = await nixmaker(...args);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    return ran.stdout;
  };
  const makeKeys = async (name: string): Promise<Keys> => ({
    publicKey: (await ok('keygen', name, '--out', folder)).trim(),
    secretFile: join(folder, `${name}.secret`),
  });
  return { folder, builder, nixmaker, ok, makeKeys, keys: await makeKeys('fleet-1') };
}
