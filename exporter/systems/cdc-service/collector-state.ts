import { z } from 'zod';
import { collectorOf, type Collector, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, mapKnown, unknown, type Known } from '../../runtime/known.ts';
import type { OffsetAge } from '../../runtime/offset-history.ts';
import { QueueAge } from '../../runtime/queue-age.ts';
import { binlogsFact } from '../mysql/facts-binlogs.ts';
import type { CdcClient } from './client.ts';
import {
  cdcServiceHealthFact,
  cdcServiceStates,
  judgeCdc,
  layers,
  layerStates,
  watchReader,
  type CdcReading,
  type CdcServiceHealth,
  type ReaderMark,
} from './facts-health.ts';
import { stateFamilies } from './families.ts';

/** The source's collector runs in the same round; without its newest facts this one goes on after this time. */
const sourceWaitMs = 500;

interface State {
  mark: ReaderMark | undefined;
  readonly queue: QueueAge;
  /** What was found although something failed: emitted by `unknown`, as what `collect` emitted is dropped. */
  partial: CdcServiceHealth | undefined;
}

export function stateCollectorOf<Client extends CdcClient>(): Collector<Client> {
  return collectorOf<Client>()({
    name: 'state',
    help: 'State, lag and queue of the CDC process, and whether it reads what its source writes.',
    keeps: 'the position before: whether it moves, and how long the queue has waited',
    config: z.strictObject({}),
    families: stateFamilies,
    state: (): State => ({ mark: undefined, queue: new QueueAge(), partial: undefined }),
    async collect({ client, emit, call, state }) {
      state.partial = undefined;
      const { reading, failure } = await client.look(call);
      const health = await judge(client, reading, state, call);
      // A process that is gone is an answer, not a failure to get one.
      if (failure !== undefined && health.state !== 'down') {
        state.partial = health;
        throw failure;
      }
      emitHealth(emit, health, call);
    },
    unknown({ emit, call, state, why }) {
      emitHealth(emit, state.partial ?? unseen(why), call);
    },
  });
}

async function judge(client: CdcClient, reading: CdcReading, state: State, call: CollectorCall): Promise<CdcServiceHealth> {
  const nowMs = call.clock.wallMs();
  if (reading.process.known && reading.process.value === 'gone') {
    // What comes after it is another process: it has its own time to begin.
    state.mark = undefined;
    return judgeCdc(reading, { isMoving: false, aheadSeconds: 0 }, nowMs);
  }
  const source = await sourceEnd(client.source, call);
  const reader = watchReader(reading, source, state.mark, { monoMs: call.clock.monoMs(), wallMs: nowMs });
  state.mark = reader.mark;
  const queued = queuedOf(reading, state.queue, call);
  return { ...judgeCdc(reading, reader, nowMs), ...(queued === undefined ? {} : { queued }) };
} // prettier-ignore

function queuedOf(
  { queueDepth, dequeued }: CdcReading,
  queue: QueueAge,
  { clock }: CollectorCall,
): Known<OffsetAge> | undefined {
  if (dequeued === undefined) return undefined;
  if (!queueDepth.known) return queueDepth;
  return mapKnown(dequeued, (out) => queue.look(clock.monoMs(), out, queueDepth.value));
}

async function sourceEnd(source: string | undefined, call: CollectorCall): Promise<Known<string>> {
  if (source === undefined || call.peers === undefined) return unknown('its source is not in the inventory');
  const binlogs = await call.peers.fact(source, binlogsFact, sourceWaitMs);
  const end = mapKnown(binlogs, ({ current }) => (current === undefined ? '' : `${current.file}:${current.position}`));
  return end.known && end.value === '' ? unknown('its source writes no binary log') : end;
}

function unseen(why: string): CdcServiceHealth {
  const no = unknown(why);
  const reading = { process: no, port: no, works: no, worksWhy: why, lagSeconds: no, queueDepth: no, progress: no };
  return judgeCdc(reading, { isMoving: false, aheadSeconds: 0 }, 0);
}

function emitHealth(emit: Emit<typeof stateFamilies>, health: CdcServiceHealth, call: CollectorCall): void {
  call.board.publish(call.target, cdcServiceHealthFact, known(health, call.clock.wallMs()));
  emitState(
    (value, state) => {
      emit.state(value, { state });
    },
    cdcServiceStates,
    health.state,
  );
  for (const layer of layers) {
    emitState(
      (value, state) => {
        emit.layer(value, { layer, state });
      },
      layerStates,
      health.layers[layer],
    );
  }
  const { lagSeconds, lagAtLeastSeconds, queueDepth } = health;
  if (lagSeconds.known) emit.lag(lagSeconds.value);
  else if (lagAtLeastSeconds.known) emit.lagAtLeast(lagAtLeastSeconds.value);
  if (queueDepth.known) emit.queue(queueDepth.value);
}
