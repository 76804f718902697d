// Targets that only play: each serves the series that a test gives it, through the exporter's own doors.
import { z } from 'zod';
import { collectorOf } from '../../exporter/collector.ts';
import { gauge, passedFamilies, type Family } from '../../exporter/families.ts';
import { TargetError } from '../../exporter/runtime/errors.ts';
import { defineSystem, type System, type TargetClient } from '../../exporter/system.ts';

/** One sample: counters are named `…_total` or by what they are called of old; the type plays no part here. */
export type Played = readonly [name: string, value: number, labels?: Readonly<Record<string, string>>];

/** By the name of the target; undefined for one that is down. */
export type Play = (target: string) => readonly Played[] | undefined;

interface PlayedClient extends TargetClient {
  readonly samples: () => readonly Played[];
}

/** A system of the kind, with the peer exporter's `…_up` where it has one. */
export function playedSystem(kind: string, play: Play): System {
  const up: { readonly up?: Family<readonly []> } =
    kind === 'mysql' || kind === 'redis' ? { up: gauge(`${kind}_up`, 'Whether it answers.', []) } : {};
  return defineSystem({
    kind,
    help: 'Plays.',
    address: z.strictObject({}),
    thresholds: {},
    ...up,
    open: (opening): Promise<PlayedClient> => {
      if (play(opening.target) === undefined) return Promise.reject(new TargetError('refused', 'nobody listens'));
      return Promise.resolve({
        samples: () => play(opening.target) ?? [],
        ping: () => Promise.resolve(),
        usable: () => true,
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
    collectors: [
      collectorOf<PlayedClient>()({
        name: 'played',
        help: 'What it plays.',
        config: z.strictObject({}),
        families: {},
        open: { played: passedFamilies(`${kind}_`, 'What it plays.') },
        state: () => ({}),
        collect: ({ client, emit }) => {
          const samples = client.samples();
          for (const name of new Set(samples.map(([of]) => of))) {
            const of = samples.filter(([other]) => other === name);
            emit.played({
              name,
              type: 'untyped',
              help: 'Played.',
              samples: of.map(([, value, labels = {}]) => ({ labels: new Map(Object.entries(labels)), value })),
            });
          }
          return Promise.resolve();
        },
      }),
    ],
  });
}
