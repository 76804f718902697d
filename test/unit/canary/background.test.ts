// The work of a canary beside the sweeps, against ends that do what a test wants.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { Clock } from '../../../exporter/runtime/clock.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { runCanary } from '../../../exporter/systems/canary/background-canary.ts';
import type { CanaryClient } from '../../../exporter/systems/canary/client.ts';
import type { NotWritten } from '../../../exporter/systems/canary/client-writer.ts';
import { CanaryTrack, type SeenView } from '../../../exporter/systems/canary/facts-track.ts';

/** One place: what is written is there for the ends at once, unless told otherwise. */
class World {
  readonly written: number[] = [];
  readonly openNow = new Set<string>();
  opens = 0;
  looks = 0;
  skips = 0;
  removed = 0;
  /** Called before a write, a look. */
  onWrite: () => 'written' | NotWritten = () => 'written';
  onLook: (name: string) => string | undefined = () => String(this.written.at(-1) ?? '');
  hasSkip = false;

  client(everyMs: number, ...ends: readonly string[]): CanaryClient {
    const open = (name: string): { usable: () => boolean; [Symbol.asyncDispose]: () => Promise<void> } => {
      const id = `${name} ${String((this.opens += 1))}`;
      this.openNow.add(id);
      return {
        usable: () => this.openNow.has(id),
        [Symbol.asyncDispose]: () => {
          this.openNow.delete(id);
          return Promise.resolve();
        },
      };
    };
    return {
      plan: {
        write: { kind: 'redis', target: 'w', key: 'k' },
        seenAt: ends.map((target) => ({ kind: 'redis', target, key: 'k' })),
        everyMs,
        lateAfterMs: everyMs,
        giveUpAfterMs: 60_000,
      },
      openWriter: () =>
        Promise.resolve({
          ...open('writer'),
          write: (token) => {
            const outcome = this.onWrite();
            if (outcome === 'written') this.written.push(token);
            return Promise.resolve(outcome);
          },
          obstacle: () => Promise.resolve(undefined),
          remove: () => {
            this.removed += 1;
            return Promise.resolve();
          },
        }),
      openSight: ({ target }) =>
        Promise.resolve({
          ...open(target),
          look: () => {
            this.looks += 1;
            return Promise.resolve().then(() => this.onLook(target));
          },
          ...(this.hasSkip ? { skip: () => Promise.resolve(void (this.skips += 1)) } : {}),
        }),
      ping: () => Promise.resolve(),
      usable: () => true,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}

interface Running {
  readonly track: CanaryTrack;
  readonly end: (name?: string) => SeenView;
  readonly stop: () => Promise<void>;
}

function run(client: CanaryClient, clock: Clock = systemClock, forbidden?: () => Promise<string | undefined>): Running {
  const track = new CanaryTrack(client.plan, { wallMs: clock.wallMs(), monoMs: clock.monoMs(), own: 7 });
  const ending = new AbortController();
  const work = { clock, log: createLog('test', 'silent'), signal: ending.signal };
  const running = runCanary({ client, track, work, random: () => 0, forbidden });
  running.catch(() => undefined);
  return {
    track,
    end: (name = 'a') => {
      const found = track.view(clock.monoMs()).ends.find(({ seenAt }) => seenAt === name);
      assert.ok(found);
      return found;
    },
    stop: async () => {
      ending.abort();
      await running;
    },
  };
}

test('it writes and sees at every end; at its end everything is closed and what it wrote is taken away', async () => {
  const world = new World();
  const { track, end, stop } = run(world.client(40, 'a', 'b'));
  await waitFor(() => end().seenTotal >= 3 && end('b').seenTotal >= 3, { what: 'three tokens at both ends' });
  assert.equal(track.view(systemClock.monoMs()).state, 'ok');
  assert.equal(world.opens, 3, 'one connection each');
  assert.deepEqual(world.written, [...world.written].sort());
  await stop();
  assert.deepEqual([world.openNow.size, world.removed], [0, 1]);
});

test('nobody looks while nothing is waited for', async () => {
  const world = new World();
  const { end, stop } = run(world.client(60_000, 'a'));
  await waitFor(() => end().seenTotal === 1, { what: 'the first token' });
  const { looks } = world;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(world.looks, looks);
  await stop();
});

test('a wall clock that jumps changes nothing', async () => {
  const world = new World();
  let jumpMs = 0;
  const clock = { wallMs: () => Date.now() + jumpMs, monoMs: () => performance.now() };
  const { end, stop } = run(world.client(40, 'a'), clock);
  for (const ms of [-86_400_000, 86_400_000]) {
    jumpMs = ms;
    const before = end().seenTotal;
    await waitFor(() => end().seenTotal >= before + 2, { what: 'two more tokens' });
    const { latencySeconds, outstandingSeconds } = end();
    assert.ok(latencySeconds.known && latencySeconds.value >= 0 && latencySeconds.value < 10);
    assert.ok(outstandingSeconds.known && outstandingSeconds.value < 10);
  }
  assert.deepEqual(world.written, [...world.written].sort());
  await stop();
});

test('refused: tried at its pace, no failure; it goes on when it may', async () => {
  const world = new World();
  let tries = 0;
  world.onWrite = () => {
    tries += 1;
    return { state: 'refused', why: 'read only' };
  };
  const { track, stop } = run(world.client(50, 'a'));
  const beganMs = performance.now();
  await waitFor(() => tries >= 3, { what: 'three tries' });
  assert.ok(performance.now() - beganMs >= 90);
  assert.deepEqual([track.view(0).state, track.failures.size, track.writes], ['refused', 0, 0]);
  world.onWrite = () => 'written';
  await waitFor(() => track.writes > 0, { what: 'a write' });
  await stop();
});

test('forbidden from elsewhere: nothing is even opened to write', async () => {
  const world = new World();
  let why: string | undefined = 'it is a replica now';
  const { track, stop } = run(world.client(40, 'a'), systemClock, () => Promise.resolve(why));
  await waitFor(() => track.view(0).state === 'refused', { what: 'refused' });
  assert.deepEqual([world.written.length, [...world.openNow].filter((id) => id.startsWith('writer'))], [0, []]);
  why = undefined;
  await waitFor(() => track.writes > 0, { what: 'a write' });
  await stop();
});

test('a place or an end that is away is a state, and is opened anew', async () => {
  const world = new World();
  world.onWrite = () => {
    world.openNow.clear();
    throw new TargetError('unreachable', 'gone');
  };
  const { track, end, stop } = run(world.client(40, 'a', 'b'));
  await waitFor(() => (track.failures.get('unreachable') ?? 0) >= 2, { what: 'two failures' });
  assert.equal(track.view(0).state, 'unreachable');
  world.onWrite = () => 'written';
  world.onLook = (name) => {
    if (name === 'b') throw new TargetError('denied', 'no');
    return String(world.written.at(-1));
  };
  await waitFor(() => end().state === 'ok' && end('b').state === 'unknown', { what: 'a sees, b may not' });
  assert.deepEqual([end('b').lagSeconds.known, end('b').why], [false, 'no']);
  world.onLook = () => {
    throw new TargetError('refused', 'nobody there');
  };
  await waitFor(() => end().state === 'unreachable', { what: 'a is away' });
  await stop();
  assert.equal(world.openNow.size, 0);
});

test('a topic is passed over before a token is sent, and not while one is waited for', async () => {
  const world = new World();
  world.hasSkip = true;
  const { end, stop } = run(world.client(40, 'a'));
  await waitFor(() => end().seenTotal >= 2, { what: 'two tokens' });
  assert.ok(world.skips >= 1);
  world.onLook = () => undefined;
  await waitFor(() => end().outstandingSeconds.known && end().state === 'late', { what: 'one is waited for' });
  const { skips } = world;
  const written = world.written.length;
  await waitFor(() => world.written.length >= written + 2, { what: 'two more are written' });
  assert.equal(world.skips, skips);
  await stop();
});

test('a fault of the program ends all of it, and is told', async () => {
  const world = new World();
  world.onLook = () => {
    throw new TypeError('a bug');
  };
  const { stop } = run(world.client(40, 'a', 'b'));
  await waitFor(() => world.opens >= 2 && world.openNow.size === 0, { what: 'all connections closed' });
  await assert.rejects(stop(), /a bug/);
});
