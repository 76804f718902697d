// Systems made for tests: what a target does is a script that the test holds.
import { z } from 'zod';
import { collectorOf, type Background, type Call } from '../../exporter/collector.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import type { Finding } from '../../exporter/findings.ts';
import { gauge, emitState } from '../../exporter/families.ts';
import { factKey } from '../../exporter/facts.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { systemClock } from '../../exporter/runtime/clock.ts';
import { known } from '../../exporter/runtime/known.ts';
import { defineSystem, type System, type TargetClient } from '../../exporter/system.ts';
import type { RoundsDeps } from '../../exporter/scrape/rounds.ts';

const fakeUp = gauge('fake_up', 'Whether the fake answered.', []);
const valueFamilies = {
  value: gauge('fake_value', 'A number.', ['key'], { state: 'fake_state' }),
  state: gauge('fake_state', 'Its state.', ['state']),
} as const;
const otherFamilies = { other: gauge('fake_other', 'Another number.', []) } as const;
export const fakeFact = factKey<number>('fake');

type EmitValue = (value: number, labels: { key: string }) => void;

/** What one target does; each may be replaced in the middle of a test. */
export interface Script {
  open: (call: Call) => Promise<void>;
  ping: (call: Call) => Promise<void>;
  collect: (emit: EmitValue, call: Call) => Promise<void>;
  dispose: () => Promise<void>;
  examine: (call: Call) => Promise<readonly Finding[]>;
  background: (work: Background<unknown>) => Promise<void>;
  opens: number;
  /** Connections open now, and the most there ever were. */
  connections: number;
  mostConnections: number;
  usable: boolean;
  collectsWhileDown: boolean;
}

export function script(parts: Partial<Script> = {}): Script {
  return {
    open: () => Promise.resolve(),
    ping: () => Promise.resolve(),
    collect: (emit) => {
      emit(1, { key: 'a' });
      return Promise.resolve();
    },
    dispose: () => Promise.resolve(),
    examine: () => Promise.resolve([]),
    background: () => Promise.resolve(),
    opens: 0,
    connections: 0,
    mostConnections: 0,
    usable: true,
    collectsWhileDown: false,
    ...parts,
  };
}

interface FakeClient extends TargetClient {
  readonly script: Script;
}

const address = z.strictObject({ id: z.string(), needs: z.string().optional() });

export function fakeSystem(scripts: Readonly<Record<string, Script>>, kind = 'fake'): System {
  const collector = collectorOf<FakeClient>();
  return defineSystem({
    kind,
    help: 'A fake.',
    address,
    thresholds: { value: 'The number.' },
    up: fakeUp,
    references: (a) => (a.needs === undefined ? [] : [{ path: 'needs', target: a.needs, kind }]),
    open: async (opening, call): Promise<FakeClient> => {
      const found = scripts[opening.address.id];
      if (found === undefined) throw new Error(`no script ${opening.address.id}`);
      found.opens += 1;
      found.connections += 1;
      found.mostConnections = Math.max(found.mostConnections, found.connections);
      try {
        await found.open(call);
      } catch (error) {
        found.connections -= 1;
        throw error;
      }
      found.usable = true;
      return {
        script: found,
        ...(found.collectsWhileDown ? { collectsWhileDown: true } : {}),
        ping: (c) => found.ping(c),
        usable: () => found.usable,
        [Symbol.asyncDispose]: async () => {
          await found.dispose();
          found.connections -= 1;
        },
      };
    },
    examine: (client, call) => client.script.examine(call),
    collectors: [
      collector({
        name: 'value',
        help: 'Collects a number.',
        config: z.strictObject({ every: z.int().min(1).max(9).optional() }),
        families: valueFamilies,
        state: () => ({}),
        collect: async ({ client, emit, call }) => {
          emitState(
            (v, state) => {
              emit.state(v, { state });
            },
            ['ok', 'unknown'],
            'ok',
          );
          call.board.publish(call.target, fakeFact, known(7, call.clock.wallMs()));
          await client.script.collect(emit.value, call);
        },
        background: async ({ work }) => {
          await scripts[work.target]?.background(work);
        },
        unknown: ({ emit }) => {
          emitState(
            (v, state) => {
              emit.state(v, { state });
            },
            ['ok', 'unknown'],
            'unknown',
          );
        },
      }),
      collector({
        name: 'other',
        help: 'Collects another number.',
        keeps: 'what it has seen',
        config: z.strictObject({}),
        families: otherFamilies,
        state: () => ({}),
        collect: ({ emit }) => {
          emit.other(2);
          return Promise.resolve();
        },
      }),
    ],
  });
}

export function fakeInventory(
  scripts: Readonly<Record<string, Script>>,
  more: (id: string) => Readonly<Record<string, unknown>> = () => ({}),
): Inventory {
  const targets = Object.keys(scripts).map((id) => ({ name: id, kind: 'fake', address: { id }, ...more(id) }));
  return inventoryOf({ targets }, 'test.yml', [fakeSystem(scripts)]);
}

/** Dependencies of a round; the faults are kept for the test to look at. */
export function roundsDeps(parts: Partial<RoundsDeps> = {}): RoundsDeps & { readonly faults: string[] } {
  const faults: string[] = [];
  return {
    clock: systemClock,
    log: createLog('test', 'silent'),
    fault: (part) => {
      faults.push(part);
    },
    pipelines: () => undefined,
    faults,
    ...parts,
  };
}
