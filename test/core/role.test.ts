import assert from 'node:assert/strict';
import { test } from 'node:test';
import { roleOf } from '../../src/core/policy/settings.ts';

test('without systemd a process is both sides, whoever runs it; beside it the user decides', () => {
  for (const uid of [0, 1, 1000]) assert.equal(roleOf({ activation: 'direct' }, uid), 'direct');
  assert.equal(roleOf({ activation: 'systemd' }, 0), 'root');
  for (const uid of [1, 1000]) assert.equal(roleOf({ activation: 'systemd' }, uid), 'agent');
});
