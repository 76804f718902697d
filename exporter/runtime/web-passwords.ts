// Passwords against bcrypt hashes: beside the event loop, one at a time, and what was found out is kept.
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export type Verdict = 'right' | 'wrong' | 'busy';

export interface Passwords extends AsyncDisposable {
  /** `busy`: so many wait already that somebody seems to try passwords. @throws what the worker died of */
  readonly check: (user: string, password: string, users: Readonly<Record<string, string>>) => Promise<Verdict>;
}

const kept = 1000;
const mostWaiting = 16;

/** Of no password: an unknown user takes as long as a known one with a cost of 10. */
const nobody = '$2b$10$SpHOrRCPVsV8lAdzs7t.wOGoRtFp6mGU3b854shDd6BZfOhvpkLKm';

export function createPasswords(): Passwords {
  // What is kept can be found again by who gives the password, and says nothing to who reads the memory.
  const secret = randomBytes(32);
  // Apart, so that no number of wrong ones pushes out a right one.
  const found = { right: new Set<string>(), wrong: new Set<string>() };
  const before = (key: string): Verdict | undefined => {
    if (found.right.has(key)) return 'right';
    return found.wrong.has(key) ? 'wrong' : undefined;
  };
  const worker = startedWhenWanted();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  const compare = async (key: string, password: string, hash: string, isUser: boolean): Promise<Verdict> => {
    const meanwhile = before(key);
    if (meanwhile !== undefined) return meanwhile;
    const equal = await worker.compare(password, hash);
    const verdict = equal && isUser ? 'right' : 'wrong';
    const all = found[verdict];
    if (all.size >= kept) all.delete(all.keys().next().value ?? '');
    all.add(key);
    return verdict;
  };

  return {
    check: async (user, password, users) => {
      const isUser = Object.hasOwn(users, user);
      const hash = (isUser ? users[user] : undefined) ?? nobody;
      const key = createHmac('sha256', secret)
        .update(JSON.stringify([user, hash, password]))
        .digest('base64');
      const earlier = before(key);
      if (earlier !== undefined) return earlier;
      if (waiting >= mostWaiting) return 'busy';
      waiting += 1;
      const mine = last.then(() => compare(key, password, hash, isUser));
      last = mine.catch(() => undefined);
      try {
        return await mine;
      } finally {
        waiting -= 1;
      }
    },
    [Symbol.asyncDispose]: () => worker[Symbol.asyncDispose](),
  };
}

function startedWhenWanted(): AsyncDisposable & { readonly compare: (p: string, hash: string) => Promise<boolean> } {
  let worker: Worker | undefined;
  const running = (): Worker => {
    if (worker !== undefined) return worker;
    // .ts as it is run here, .js as it is published
    const started = new Worker(new URL(`./web-passwords-worker${extname(import.meta.filename)}`, import.meta.url));
    started.unref();
    started.once('exit', () => {
      if (worker === started) worker = undefined;
    });
    worker = started;
    return started;
  };
  return {
    compare: async (password, hash) => {
      const to = running();
      const answer = once(to, 'message'); // rejects with what the worker throws
      to.postMessage({ password, hash });
      const [equal] = (await answer) as readonly unknown[];
      return equal === true;
    },
    [Symbol.asyncDispose]: async () => {
      await worker?.terminate();
    },
  };
}
