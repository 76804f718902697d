// Which episodes are begun in which round: targets that hang with several alerts, and what the start waits for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unknown } from '../../../exporter/runtime/known.ts';
import type { Episode } from '../../../remediator/model.ts';
import { createRounds, takenMs, type Rounds } from '../../../remediator/rounds.ts';

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Episodes in memory, named by their target and a number; each look at a target `h` lasts until it is let go. */
class Fleet {
  nowMs = 1_000;
  sweeps = 0;
  readonly looked: string[] = [];
  readonly rounds: Rounds;
  readonly #nextEvalMs = new Map<string, number>();
  #release: () => void = () => undefined;

  constructor(ids: readonly string[]) {
    for (const id of ids) this.#nextEvalMs.set(id, 0);
    const open = (): Episode[] =>
      [...this.#nextEvalMs].map(
        ([id, nextEvalMs]) => ({ id, labels: { target: id.charAt(0) }, nextEvalMs }) as unknown as Episode,
      );
    this.rounds = createRounds({
      store: {
        openEpisodes: () => Promise.resolve(open()),
        dueEpisodes: (nowMs) => Promise.resolve(open().filter((e) => (e.nextEvalMs ?? 0) <= nowMs)),
        scheduleEval: (id, beforeMs, nextMs) => Promise.resolve(this.#schedule(id, beforeMs, nextMs)),
        setMeta: () => Promise.resolve(),
      },
      clock: { nowMs: () => this.nowMs },
      judgeStorm: () => Promise.resolve(unknown('not of this test')),
      evaluate: async (episode, sweeping) => {
        if (!this.#schedule(episode.id, episode.nextEvalMs, this.nowMs + takenMs)) return;
        this.looked.push(episode.id);
        this.sweeps = sweeping.sweeps;
        if (episode.id.startsWith('h')) await new Promise<void>((resolve) => (this.#release = resolve));
      },
      keep: () => undefined,
      isDraining: () => false,
    });
  }

  due(id: string): void {
    this.#nextEvalMs.set(id, this.nowMs);
  }

  async begin(): Promise<void> {
    await this.rounds.begin();
    await settle();
  }

  async letGo(): Promise<void> {
    this.#release();
    await settle();
  }

  #schedule(id: string, beforeMs: number | undefined, nextMs: number): boolean {
    if (this.#nextEvalMs.get(id) !== beforeMs) return false;
    this.#nextEvalMs.set(id, nextMs);
    return true;
  }
}

test('the start is over when each has had its look, though a target that hangs never comes to an end', async () => {
  const fleet = new Fleet(['h1', 'h2', 'h3', 'w1']);
  await fleet.begin();
  for (const id of ['h1', 'h2', 'h3']) {
    fleet.due('w1');
    await fleet.begin();
    assert.equal(fleet.sweeps, 1, `${id} was not looked at yet`);
    await fleet.letGo();
    fleet.due(id); // again, while the next one is under way
    await fleet.begin();
  }
  fleet.due('w1');
  await fleet.begin();
  assert.equal(fleet.looked.at(-1), 'w1');
  assert.ok(fleet.sweeps >= 2, `sweep ${fleet.sweeps}: nothing would ever be begun`);
  for (const _ of ['h1', 'h2', 'h3']) await fleet.letGo();
  await fleet.rounds.ended();
});

test('what waits behind a look that hangs keeps its turn, and waits once only', async () => {
  const fleet = new Fleet(['h1', 'h2', 'h3']);
  await fleet.begin();
  fleet.nowMs += takenMs;
  fleet.due('h1'); // what is due again comes first in the store
  await fleet.begin();
  fleet.nowMs += takenMs;
  await fleet.begin();
  for (let i = 0; i < 4; i++) await fleet.letGo();
  await fleet.rounds.ended();
  assert.deepEqual(fleet.looked, ['h1', 'h2', 'h3', 'h1']);
});
