import assert from 'node:assert/strict';
import { test } from 'node:test';
import { given } from '../../src/core/given.ts';

test('fields without a value are left out, and the others keep their order', () => {
  const kept = given({ z: 1, nothing: undefined, a: 'text' });
  assert.deepEqual(Object.keys(kept), ['z', 'a']);
  assert.deepEqual(kept, { z: 1, a: 'text' });
});

test('what is merely empty, false or null is a value', () => {
  const all = { none: 0, empty: '', no: false, nothing: null, list: [] };
  assert.deepEqual(given(all), all);
});

test('its type is that of an object whose unsure fields are optional, and whose sure ones are not', () => {
  interface Told {
    readonly name: string;
    readonly age?: number;
  }
  const age = [41, undefined][1];
  const told: Told = given({ name: 'web', age });
  assert.equal('age' in told, false);
});
