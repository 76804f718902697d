import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CollectorCall } from '../../../exporter/collector.ts';
import { FactBoard, SharedFacts } from '../../../exporter/facts.ts';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { distanceCollector } from '../../../exporter/systems/mysql/collector-distance.ts';
import {
  channelsToSources,
  sourceLogFact,
  type SourceLog,
} from '../../../exporter/systems/mysql/facts-binlog-server.ts';
import { filesOf } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import { distanceOf, type ChannelPlace } from '../../../exporter/systems/mysql/facts-distance.ts';
import { channelOf, replicationFact } from '../../../exporter/systems/mysql/facts-replication.ts';
import { fakeClient, fixture, runner, statesOf, testCall } from './fake-client.ts';

const at = (file: string, position: number): { file: string; position: number } => ({ file, position });

function log(parts: Partial<SourceLog> = {}): Known<SourceLog> {
  const files = filesOf([
    { Log_name: 'b.000003', File_size: '1000' },
    { Log_name: 'b.000004', File_size: '500' },
    { Log_name: 'b.000005', File_size: '300' },
  ]);
  const binlogs = { files, current: at('b.000005', 300) };
  return known({ serverId: 1, serverUuid: undefined, binlogs, askedAtMonoMs: 1000, ...parts }, 1000);
}

function place(executed: [string, number], received: [string, number] = executed, sourceServerId = 1): ChannelPlace {
  return { executed: at(...executed), received: at(...received), sourceServerId, sourceUuid: '' };
}

/** [state, behind, not received] */
function seen(
  channel: ChannelPlace,
  logs: readonly Known<SourceLog>[],
  readAtMs = 900,
): readonly [string, number | undefined, number | undefined] {
  const { state, behindBytes, unreceivedBytes } = distanceOf(channel, logs, readAtMs);
  return [
    state,
    behindBytes.known ? behindBytes.value : undefined,
    unreceivedBytes.known ? unreceivedBytes.value : undefined,
  ];
}

test('bytes across files, by the list of the source', () => {
  assert.deepEqual(seen(place(['b.000005', 300]), [log()]), ['ok', 0, 0]);
  assert.deepEqual(seen(place(['b.000003', 400], ['b.000004', 100]), [log()]), ['ok', 600 + 500 + 300, 400 + 300]);
});

test('of several sources the one that the channel replicates from counts: by UUID, or by id', () => {
  const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
  const another = log({ serverId: 9, binlogs: { files: [], current: undefined } });
  assert.deepEqual(seen(place(['b.000005', 200]), [another, log()]), ['ok', 100, 100]);
  const byUuid = { ...place(['b.000005', 200], ['b.000005', 300], 0), sourceUuid: uuid.toUpperCase() };
  assert.deepEqual(seen(byUuid, [log({ serverUuid: uuid })]), ['ok', 100, 0]);
  assert.deepEqual(seen(byUuid, [log({ serverUuid: uuid.replace('3', '4') })])[0], 'not_matched');
  assert.deepEqual(seen(place(['b.000005', 200], ['b.000005', 200], 2), [log()])[0], 'not_matched');
});

test('no number where a file is gone, where the replica is ahead, and where either side is not known', () => {
  assert.deepEqual(seen(place(['b.000002', 4], ['b.000004', 500]), [log()]), ['files_gone', undefined, 300]);
  assert.deepEqual(seen(place(['other.000004', 4]), [log()]), ['files_gone', undefined, undefined]);
  assert.deepEqual(seen(place(['b.000003', 1001]), [log()]), ['files_gone', undefined, undefined], 'lost in a crash');
  assert.deepEqual(seen(place(['b.000005', 301]), [log()]), ['ahead', undefined, undefined]);
  assert.deepEqual(seen(place(['b.000005', 300]), [unknown('down')]), ['unknown', undefined, undefined]);
  assert.deepEqual(seen(place(['b.000005', 300], ['b.000005', 300], 0), [log()])[0], 'unknown', 'never connected');
  const never = { executed: undefined, received: undefined, sourceServerId: 1, sourceUuid: '' };
  assert.deepEqual(seen(never, [log()]), ['unknown', undefined, undefined]);
  assert.equal(seen(place(['b.000005', 300]), [log({ binlogs: { files: [], current: undefined } })])[0], 'unknown');
});

test('a replica that was read after its source may be further: it is not behind, and not ahead', () => {
  assert.deepEqual(seen(place(['b.000005', 301]), [log()], 1000), ['ok', 0, 0]);
  assert.deepEqual(seen(place(['b.000006', 4]), [log()], 1001), ['ok', 0, 0]);
  // what the source was long ago says nothing
  assert.deepEqual(seen(place(['b.000006', 4]), [log()], 301_001), ['unknown', undefined, undefined]);
});

test('the channels of Group Replication lead to no source', () => {
  const names = ['', 'east', 'group_replication_applier', 'group_replication_recovery'];
  const channels = names.map((channelName) => ({ channelName }));
  assert.deepEqual(channelsToSources(channels), [{ channelName: '' }, { channelName: 'east' }]);
});

function callOf(facts: SharedFacts, sources: readonly string[]): CollectorCall {
  const call = testCall();
  return {
    ...call,
    peers: {
      sources,
      fact: (target, key) => facts.newest(target, key, { sinceMs: 0, waitMs: 100, signal: call.signal }),
    },
  };
}

test('the state is told also of a target without a source, without facts, and while it is down', async () => {
  const run = runner(distanceCollector);
  const client = fakeClient('10.11.19-MariaDB', {});
  const state = async (call: CollectorCall, given: typeof client | Error = client): Promise<readonly string[]> =>
    statesOf((await run(given, call)).samples, 'mysql_replication_distance_state').map(
      (key) => /,state="(\w+)"/.exec(key)?.[1] ?? key,
    );
  assert.deepEqual(await state(testCall()), ['not_paired']);
  assert.deepEqual(await state(callOf(new SharedFacts(), [])), ['not_paired']);
  assert.deepEqual(await state(callOf(new SharedFacts(), ['db0'])), ['unknown']);
  assert.deepEqual(await state(callOf(new SharedFacts(), ['db0']), new Error('down')), ['unknown']);
});

test('a wall clock that was set back between source and replica makes no replica that is ahead', async () => {
  const [row] = fixture('mariadb-10.11.19-running');
  assert.ok(row);
  const end = { Master_Server_Id: '1', Exec_Master_Log_Pos: '301', Read_Master_Log_Pos: '301' };
  const files = { Master_Log_File: 'b.000005', Relay_Master_Log_File: 'b.000005' };
  const replica = channelOf({ ...row, ...end, ...files }, -3_599_000);
  const facts = new SharedFacts();
  const board = new FactBoard();
  board.publish('db0', sourceLogFact, log());
  board.publish('db', replicationFact, known([replica], -3_599_000));
  facts.share(board, 0);
  const clock = { monoMs: () => 2000, wallMs: () => -3_599_000 };
  const found = await runner(distanceCollector)(fakeClient('10.11.19-MariaDB', {}), {
    ...callOf(facts, ['db0']),
    clock,
  });
  assert.match(statesOf(found.samples, 'mysql_replication_distance_state').join(), /^[^,]*,[^,]*,state="ok"\}$/);
});
