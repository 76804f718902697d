// Very many random requests, each refused, and a heap that is afterwards what it was.
import assert from 'node:assert/strict';
import { heapAfterGc } from './full-gc.ts';
import { randomRequest } from './hostile-requests.ts';
import { generator } from './random.ts';
import { RawClient, type Where } from './raw-http.ts';

const clients = 8;
/** Far above what caches of the runtime take, far below a hundred bytes for each request and connection. */
const mostGrownBytes = 8 * 1024 * 1024;

/** @param routes, parameters as randomRequest takes them */
export async function flood(where: Where, routes: readonly string[], parameters: readonly string[]): Promise<void> {
  const one = async (seed: number, count: number): Promise<void> => {
    const random = generator(seed);
    const client = new RawClient(where);
    for (let i = 0; i < count; i++) {
      const { text, isHead } = randomRequest(random, routes, parameters);
      const status = await client.status(text, isHead);
      const isRefused = status !== undefined && status >= 400 && status < 500;
      assert.ok(isRefused, `seed ${seed}, request ${i}: ${String(status)} to ${JSON.stringify(text)}`);
    }
    client.close();
  };
  const all = async (first: number, count: number): Promise<void> => {
    await Promise.all(Array.from({ length: clients }, (_, i) => one(first + i, count / clients)));
  };
  await all(1, 2000);
  const before = heapAfterGc();
  await all(100, 10_000);
  const grown = heapAfterGc() - before;
  assert.ok(grown < mostGrownBytes, `the heap has grown by ${grown} bytes`);
}
