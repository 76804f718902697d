import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { messageOf } from '../../runtime/errors.ts';
import { known, unknown, type Known } from '../../runtime/known.ts';
import { probeHttp, type HttpProbe } from './client-probe.ts';
import type { MaxwellClient } from './client.ts';
import { judgeTables, readMaxwellTables } from './facts-evidence.ts';
import {
  judgeMaxwell,
  maxwellHealthFact,
  maxwellStates,
  type MaxwellEvidence,
  type MaxwellHealth,
  type PositionMark,
} from './facts-health.ts';
import { layers, layersOf, layerStates } from './facts-layers.ts';
import { maxwellPlaceFact, placeOf, type MaxwellPlace } from './facts-passing.ts';
import { purgeSeconds, purgeStates, readRetention, type Retention } from './facts-retention.ts';
import { readWitness } from './facts-witness.ts';
import { duplicateStates, watchWriters, type DuplicateState, type WritersMark } from './facts-writers.ts';
import { positionFamilies as families } from './families.ts';

const modes = ['binlog', 'gtid', 'unknown'] as const;

interface Found {
  readonly health: MaxwellHealth;
  readonly place: Known<MaxwellPlace>;
  readonly process: MaxwellEvidence['process'];
  readonly probe: HttpProbe;
  readonly purge: ReturnType<typeof purgeSeconds>;
  readonly duplicate: DuplicateState;
}

interface State {
  /** Known from the first look on: the address belongs to the client. */
  clientId: string;
  mark: PositionMark | undefined;
  writers: WritersMark | undefined;
  regressions: number;
  /** What was found before something failed in this sweep: emitted by `unknown`, as what `collect` emitted is dropped. */
  partial: Found | undefined;
  /** A sweep is looked at while it runs too, perhaps more than once: what was found counts until the run has ended. */
  isRunning: boolean;
}

/**
 * Position, lag and state from Maxwell's tables, the source's binary logs and the process. Where a part cannot be read
 * the collector fails with the class of that error, and what the other parts tell is served all the same.
 */
export const positionCollector = collectorOf<MaxwellClient>()({
  name: 'position',
  help: 'State, layers of health, position and lag of Maxwell, and whether its source still has what it needs.',
  keeps: 'positions before: whether it moves, went back, or has a second writer',
  config: z.strictObject({}),
  families,
  state: (): State => ({
    clientId: '',
    mark: undefined,
    writers: undefined,
    regressions: 0,
    partial: undefined,
    isRunning: false,
  }),
  async collect({ client, emit, call, state }) {
    state.clientId = client.address.clientId;
    state.partial = undefined;
    state.isRunning = true;
    try {
      emitFound(emit, state, await look(client, state, call), call);
    } finally {
      state.isRunning = false;
    }
  },
  unknown({ emit, call, state, why }) {
    const found = state.partial ?? withoutTables(unknown(why), unseen(why));
    if (!state.isRunning) state.partial = undefined;
    emitFound(emit, state, found, call);
  },
});

async function look(client: MaxwellClient, state: State, call: CollectorCall): Promise<Found> {
  const startsBefore = await startsOf(client);
  const outside = Promise.all([client.process(call), probeHttp(client.http, call)]).then((found) => {
    state.partial ??= withoutTables(...found);
    return found;
  });
  outside.catch(() => undefined); // it is awaited after the tables, and may fail while they are read
  const tables = await readMaxwellTables(client, call);
  const retention = await attempt(async () => readRetention(await client.source(call), call));
  const [process, probe] = await outside;
  const { health, mark } = judgeTables(process, tables, state.mark, call);
  state.mark = mark;
  const starts = { before: startsBefore, after: await startsOf(client) };
  const writers = watchWriters({ position: tables.position, process }, starts, state.writers, call.clock.monoMs());
  state.writers = writers.mark;
  if (writers.wentBack) state.regressions += 1;
  const { position } = tables;
  const at = position.known ? { ...position, value: position.value.found ? position.value : undefined } : position;
  const purge = purgeSeconds(at, health, tables.binlogs, retention);
  const place: Known<MaxwellPlace> = !position.known
    ? position
    : position.value.found
      ? known(placeOf(position.value, position.observedAtMs), position.observedAtMs)
      : unknown(position.value.why);
  const found = { health, place, process, probe, purge, duplicate: writers.duplicate };
  if (tables.failure === undefined) return found;
  state.partial = found;
  throw tables.failure;
}

/** That the record cannot be read is told by the collector of the log. */
async function startsOf({ address }: MaxwellClient): Promise<number | undefined> {
  if (address.witnessFile === undefined) return undefined;
  return readWitness(address.witnessFile).then(
    ({ starts }) => starts,
    () => undefined,
  );
}

/** What is wrong with the source shows in the failure of what is read of it before. */
async function attempt(read: () => Promise<Known<Retention>>): Promise<Known<Retention>> {
  try {
    return await read();
  } catch (error) {
    return unknown(messageOf(error));
  }
}

function unseen(why: string): HttpProbe {
  return { port: unknown(why), function: unknown(why) };
}

function withoutTables(process: MaxwellEvidence['process'], probe: HttpProbe): Found {
  const nothing = unknown(process.known ? 'its tables were not read in time' : process.why);
  const evidence = { process, position: nothing, binlogs: nothing, gtidsPurged: nothing, movement: nothing };
  const purge = { state: 'unknown', seconds: nothing } as const;
  return { health: judgeMaxwell(evidence), place: nothing, process, probe, purge, duplicate: 'unknown' };
}

function emitFound(emit: Emit<typeof families>, state: State, found: Found, call: CollectorCall): void {
  const { health, process, probe, purge } = found;
  const client_id = state.clientId;
  call.board.publish(call.target, maxwellHealthFact, known(health, call.clock.wallMs()));
  call.board.publish(call.target, maxwellPlaceFact, found.place);
  const of = (put: (value: number, labels: { client_id: string; state: string }) => void) => {
    return (value: number, s: string): void => {
      put(value, { client_id, state: s });
    };
  };
  emitState(of(emit.state), maxwellStates, health.state);
  emitState(of(emit.purgeState), purgeStates, purge.state);
  emitState(of(emit.duplicate), duplicateStates, found.duplicate);
  emit.reason(1, { client_id, state: health.state, reason: health.reason });
  emit.regressions(state.regressions, { client_id });
  const byLayer = layersOf(process, probe, health);
  for (const layer of layers) {
    emitState(
      (value, s) => {
        emit.layer(value, { client_id, layer, state: s });
      },
      layerStates,
      byLayer[layer],
    );
  }
  const mode = health.serverId.known ? (health.serverId.value === 0 ? 'gtid' : 'binlog') : 'unknown';
  emitState(
    (value, m) => {
      emit.mode(value, { client_id, mode: m });
    },
    modes,
    mode,
  );
  emitNumbers(emit, client_id, found);
}

function emitNumbers(emit: Emit<typeof families>, client_id: string, { health, purge }: Found): void {
  if (!health.serverId.known) return;
  const of = { client_id, server_id: String(health.serverId.value) };
  if (health.lagSeconds.known) emit.lag(health.lagSeconds.value, of);
  if (health.heartbeatAgeSeconds.known) emit.age(health.heartbeatAgeSeconds.value, of);
  if (health.behindBytes.known) emit.behind(health.behindBytes.value, of);
  if (purge.seconds.known) emit.headroomSeconds(purge.seconds.value, of);
  if (!health.purge.known) return;
  const { lost, bytes, files } = health.purge.value;
  emit.lost(lost ? 1 : 0, of);
  if (bytes !== undefined) emit.headroomBytes(bytes, of);
  if (files !== undefined) emit.headroomFiles(files, of);
}
