/** What is done about a run that stopped midway: every case there is, by conditions written down once more. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { states } from '../../src/core/run/lifecycle.ts';
import { planResume, type ResumePlan } from '../../src/core/run/resume.ts';

/** States in which the machine itself may have been changed, but for a rollback that has begun. */
const forward = ['profile-set', 'boot-entry', 'switched', 'pending', 'healthy'];

const cases = states.flatMap((state) =>
  ['new', undefined].flatMap((toplevel) =>
    ['this', 'former', undefined].flatMap((bootId) =>
      ['new', 'old', undefined].flatMap((booted) =>
        [true, false].map((toplevelUsable) => ({ state, toplevel, bootId, booted, toplevelUsable })),
      ),
    ),
  ),
);

function expected({ state, toplevel, bootId, booted, toplevelUsable }: (typeof cases)[number]): ResumePlan {
  const isForward = forward.includes(state);
  if (!isForward && state !== 'rolling-back') return 'forget';
  const canGoOn = isForward && toplevel === 'new' && toplevelUsable;
  if (canGoOn && bootId === 'this') return 'go-on';
  if (canGoOn && booted === 'new') return 'confirm';
  return 'roll-back';
}

test('a run goes on, is confirmed, rolled back or forgotten exactly where it may be', () => {
  const plans = new Map<ResumePlan, number>();
  for (const given of cases) {
    const { booted, toplevelUsable, ...run } = given;
    const plan = planResume(run, { bootId: 'this', booted, toplevelUsable });
    assert.equal(plan, expected(given), JSON.stringify(given));
    plans.set(plan, (plans.get(plan) ?? 0) + 1);
  }
  // Forward in this boot: 5 states, 3 systems that could have been booted; in another: 5, and 2 boots that are not this.
  assert.deepEqual([plans.get('go-on'), plans.get('confirm')], [5 * 3, 5 * 2]);
});
