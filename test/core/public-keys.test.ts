/** Public keys that hosts tell: one line of the right kind, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ageRecipient, sshHostKey, sshHostKeyIn } from '../../src/core/public-keys.ts';
import { anyCharacter } from '../support/any-character.ts';

const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'D'.repeat(43)}`;

test('of a .pub file the key is kept, and its comment is not', () => {
  for (const text of [key, `${key}\n`, `${key} root@web\n`, `${key}\tx\n${key} y\n`])
    assert.equal(sshHostKeyIn(text), key);
  for (const text of [
    '',
    'x',
    ` ${key}`,
    `${key}a`,
    `${key}==`,
    key.replace('AAAAID', 'AAAAIQ'),
    key.slice(0, -1),
    key.replace('ed25519', 'rsa'),
  ])
    assert.equal(sshHostKeyIn(text), undefined, text);
});

test('whatever a file holds, what is kept of it is a key in one line', () => {
  const line = fc.oneof(
    fc.string({ unit: anyCharacter }),
    fc.constant(`${key} \u001b[2J`),
    fc.constant(`${key}\n`),
  );
  fc.assert(
    fc.property(line, line, (one, other) => {
      const found = sshHostKeyIn(one + other);
      assert.ok(found === undefined || (sshHostKey.safeParse(found).success && /^[ -~]+$/.test(found)));
    }),
  );
});

test('a receipt can’t have anything else where a key should be', () => {
  for (const wrong of [`${key}\n`, `${key} # x`, `x${key}`]) assert.ok(!sshHostKey.safeParse(wrong).success);
  assert.ok(ageRecipient.safeParse(`age1${'q'.repeat(58)}`).success);
  for (const wrong of ['age1', 'age1A', 'age1q\n', 'AGE-SECRET-KEY-1Q', `age1${'q'.repeat(4092)}`])
    assert.ok(!ageRecipient.safeParse(wrong).success);
});
