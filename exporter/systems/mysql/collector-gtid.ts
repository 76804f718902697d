import { z } from 'zod';
import { collectorOf } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { peerWaitMs, sourceAtMostMs } from './facts-distance.ts';
import { channelsToSources } from './facts-binlog-server.ts';
import { binlogsFact } from './facts-binlogs.ts';
import { gtidFact, readGtids, type GtidReading, type ParseCache } from './facts-gtid.ts';
import { compareGtids, replicaGtidsFact, type ReplicaGtids } from './facts-gtid-replica.ts';
import { replicationFact } from './facts-replication.ts';
import { gtidFamilies, gtidStates, type GtidState } from './families-gtid.ts';

interface State {
  readonly cache: ParseCache;
  /** Newest last: one of them was read before whatever reading of a source is at hand. */
  earlier: readonly GtidReading[];
}

const keptReadings = 3;

/**
 * On a replica the sets of its sources are awaited before its own is read. A transaction that is missing then was there
 * on the source before; one that is errant was on the replica in an earlier reading already, before the source was read.
 */
export const gtidCollector = collectorOf<MysqlClient>()({
  name: 'gtid',
  help: 'Missing and errant transactions of a replica by GTID; needs it and its source in the inventory’s pipelines.',
  keeps: 'earlier readings, so that a transaction on its way is never called errant',
  config: z.strictObject({}),
  families: gtidFamilies,
  state: (): State => ({ cache: new Map(), earlier: [] }),
  async collect({ client, emit, call, state }) {
    const { peers, target, clock } = call;
    const names = peers?.sources ?? [];
    const binlogs = await peers?.fact(target, binlogsFact, 0);
    const oldest = binlogs?.known === true ? binlogs.value.files[0]?.name : undefined;
    const read = (): Promise<GtidReading> => readGtids(client, state.cache, oldest, call);
    if (peers === undefined || names.length === 0) {
      const reading = await read();
      call.board.publish(target, gtidFact, known(reading, clock.wallMs()));
      const isOff = reading.gtids.flavour === 'mysql' ? !reading.gtids.on : !reading.gtids.logBin;
      emitGtidState(emit, isOff ? 'off' : 'not_paired');
      return;
    }
    if (state.earlier.length === 0) state.earlier = [await read()];
    const [channels, ...sources] = await Promise.all([
      peers.fact(target, replicationFact, peerWaitMs),
      ...names.map((name) => peers.fact(name, gtidFact, peerWaitMs)),
    ]);
    const now = await read();
    call.board.publish(target, gtidFact, known(now, clock.wallMs()));
    if (channels.known) {
      const fresh = sources.map((source) =>
        source.known && now.fromMs - source.value.toMs > sourceAtMostMs ? unknown('it was not read lately') : source,
      );
      const { earlier } = state;
      const found = compareGtids({
        channels: channelsToSources(channels.value),
        sources: fresh,
        now,
        earlier,
        observedAtMs: clock.wallMs(),
      });
      call.board.publish(target, replicaGtidsFact, known(found, clock.wallMs()));
      emitFound(emit, found);
    } else emitGtidState(emit, 'unknown');
    state.earlier = [...state.earlier, now].slice(-keptReadings);
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, gtidFact, unknown(why));
    call.board.publish(call.target, replicaGtidsFact, unknown(why));
    emitGtidState(emit, 'unknown');
  },
});

function emitFound(emit: Emit<typeof gtidFamilies>, { state, channels, errant }: ReplicaGtids): void {
  for (const { channelName, connectionName, missing, missingPurged } of channels) {
    const labels = { channel_name: channelName, connection_name: connectionName };
    if (missing.known) emit.missing(missing.value, labels);
    if (missingPurged.known) emit.missingPurged(missingPurged.value, labels);
  }
  if (errant.known) emit.errant(errant.value);
  emitGtidState(emit, state);
}

function emitGtidState(emit: Emit<typeof gtidFamilies>, current: GtidState): void {
  emitState(
    (value, state) => {
      emit.state(value, { state });
    },
    gtidStates,
    current,
  );
}
