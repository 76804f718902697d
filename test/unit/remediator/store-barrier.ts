// 12 processes at a start barrier: without one, a claim that counts before it locks passes by luck.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Store } from '../../../remediator/store/store.ts';
import type { Round } from './claim-racer.ts';
import { openEpisode } from './store-fixtures.ts';

const racers = 12;

export interface Racers extends Disposable {
  /** @returns the number of budget entries of the contested scope after each round */
  readonly race: (
    store: Store,
    shape: Pick<Round, 'kind' | 'place' | 'claims'> & { readonly rounds: number },
    contest: 'one target' | 'one scope',
    max: number,
  ) => Promise<readonly number[]>;
}

/** Starting them takes longest: they are used for several races. */
export async function startRacers(): Promise<Racers> {
  const children = Array.from({ length: racers }, () => fork(join(import.meta.dirname, 'claim-racer.ts')));
  const stop = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  try {
    await Promise.all(children.map((child) => answer(child)));
  } catch (error) {
    stop();
    throw error;
  }
  return {
    [Symbol.dispose]: stop,
    race: async (store, { rounds, ...shape }, contest, max) => {
      const counts: number[] = [];
      for (let r = 0; r < rounds; r++) {
        const name = `${shape.claims}-${contest.replace(' ', '-')}-${r}`;
        const scope = contest === 'one target' ? `target:${name}` : `policy:${name}`;
        const episodes = [];
        for (let i = 0; i < racers; i++) {
          episodes.push(await openEpisode(store, { alertname: 'Race', name, n: String(i) }));
        }
        const startWallMs = Date.now() + 300;
        const done = children.map((child) => answer(child));
        for (const [i, child] of children.entries()) {
          const target = contest === 'one target' ? name : `${name}-${i}`;
          const episode = episodes[i];
          if (episode === undefined) throw new Error('too few episodes');
          const round: Round = { ...shape, startWallMs, scope, max, target, episodeId: episode.id };
          child.send(round);
        }
        await Promise.all(done);
        counts.push(await store.budgetUsed(scope, 0));
      }
      return counts;
    },
  };
}

async function answer(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit').then(() => {
    throw new Error('a racer ended early');
  });
  ended.catch(() => undefined);
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [{ error?: string }];
  if (message.error !== undefined) throw new Error(message.error);
}
