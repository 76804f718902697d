import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NeverReady, waitFor } from '../../deploy/lab/ready.ts';

const options = { deadlineMs: 200, what: 'it', intervalMs: 5 };

test('gives what the condition gives', async () => {
  let calls = 0;
  assert.equal(await waitFor(() => (++calls === 3 ? 'yes' : undefined), options), 'yes');
  assert.equal(calls, 3);
});

test('an error is "not yet", and the cause when the deadline passes', async () => {
  let calls = 0;
  const early = (): boolean => {
    if (++calls < 3) throw new Error('early');
    return true;
  };
  assert.equal(await waitFor(early, options), true);
  const cause = new Error('never answers');
  await assert.rejects(
    waitFor(() => Promise.reject(cause), { ...options, detail: () => 'the log says so' }),
    (error: Error) =>
      error.message === 'waited 200 ms for it; last: never answers\nthe log says so' && error.cause === cause,
  );
});

test('a condition that hangs is given up at the deadline, and told so', async () => {
  let told = false;
  const hangs = (signal: AbortSignal): Promise<boolean> => {
    signal.addEventListener('abort', () => (told = true));
    return new Promise(() => undefined);
  };
  await assert.rejects(waitFor(hangs, options), /waited 200 ms for it$/);
  assert.equal(told, true);
});

test('what can never come true ends the wait at once', async () => {
  const begun = performance.now();
  const never = (): boolean => {
    throw new NeverReady('it is dead');
  };
  await assert.rejects(waitFor(never, { ...options, deadlineMs: 60_000 }), /^NeverReady: it is dead$/);
  assert.ok(performance.now() - begun < 5_000);
});

test('the caller can end it', async () => {
  const controller = new AbortController();
  setTimeout(() => {
    controller.abort(new Error('enough'));
  }, 20);
  const waiting = waitFor(() => false, { ...options, deadlineMs: 60_000, signal: controller.signal });
  await assert.rejects(
    waiting,
    (error: Error) => /was ended/.test(error.message) && /enough/.test(String(error.cause)),
  );
});
