/**
 * Loaded before each test file (tools/set-up/run-tests.sh). Node.js remembers for everything asynchronous which test it came from, so
 * that a stray error is that test’s, and has the garbage collector tell it of every promise that is gone. In tests that read and write
 * many files, this took a third of the processor’s time. Here the oldest are forgotten instead, without being asked for. Where Node.js
 * goes about it in another way, nothing is changed.
 */
import hooks, { type AsyncHook, type HookCallbacks } from 'node:async_hooks';

/** More than are waited for at any time. An error of an older one is the file’s, which fails as well. */
const remembered = 100_000;

const { createHook } = hooks;

const isTestRunner = (): boolean => new Error().stack?.includes('node:internal/test_runner') === true;

function createCheapHook({ init, destroy, ...others }: HookCallbacks): AsyncHook {
  if (init === undefined || destroy === undefined || !isTestRunner())
    return createHook({ ...others, ...(init && { init }), ...(destroy && { destroy }) });
  const ids = new Float64Array(remembered);
  let next = 0;
  return createHook({
    ...others,
    init: (id, type, trigger, resource) => {
      init(id, type, trigger, resource);
      // Tests themselves are few.
      if (type === 'Test') return;
      const oldest = ids[next] as number;
      if (oldest !== 0) destroy(oldest);
      ids[next] = id;
      next = (next + 1) % remembered;
    },
  });
}

Object.assign(hooks, { createHook: createCheapHook });
