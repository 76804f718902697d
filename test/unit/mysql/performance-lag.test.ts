// The lag by the commit times of transactions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitLagOf, type CommitMark } from '../../../exporter/systems/mysql/facts-performance-lag.ts';
import {
  receiverOf,
  receiverTimes,
  workerTimes,
  type Receiver,
  type Worker,
} from '../../../exporter/systems/mysql/facts-performance.ts';
import { channelOf, type ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { generator } from '../../support/random.ts';

const channel: ReplicaChannel = channelOf(
  {
    Replica_IO_Running: 'Yes',
    Replica_SQL_Running: 'Yes',
    Source_Log_File: 'b.1',
    Read_Source_Log_Pos: 9,
    Relay_Source_Log_File: 'b.1',
    Exec_Source_Log_Pos: 5,
  },
  0,
);
const receiver = receiverOf(
  {
    channel_name: '',
    now: '1000',
    received_heartbeats: '0',
    ...Object.fromEntries(receiverTimes.map((name) => [name, '0.000000'])),
  },
  true,
);

interface Given {
  readonly now?: number;
  readonly queued?: number;
  readonly applied?: number;
  readonly applying?: number;
  readonly queueing?: number;
  readonly executedAll?: boolean | undefined;
  readonly channel?: ReplicaChannel;
  readonly heartbeat?: number;
  readonly arrived?: number;
  readonly threadId?: string;
}

function look(given: Given, before?: CommitMark): ReturnType<typeof commitLagOf> {
  const { now = 1000, queued: queuedAt = 0, applied = 0, applying, queueing } = given;
  const times = receiver.times;
  assert.ok(times);
  const worker: Worker = {
    channelName: '',
    workerId: '1',
    applying: applying !== undefined,
    times: {
      ...Object.fromEntries(workerTimes.map((name) => [name, 0])),
      last_applied_transaction_immediate_commit: applied,
      applying_transaction_immediate_commit: applying ?? 0,
    } as Worker['times'],
  };
  const seen: Receiver = {
    ...receiver,
    nowSeconds: now,
    threadId: given.threadId ?? 'a',
    queueing: queueing !== undefined,
    executedAll: 'executedAll' in given ? given.executedAll : false,
    times: {
      ...times,
      last_heartbeat: given.heartbeat ?? 0,
      last_queued_transaction_immediate_commit: queuedAt,
      last_queued_transaction_start_queue: given.arrived ?? queuedAt,
      queueing_transaction_immediate_commit: queueing ?? 0,
    },
  };
  return commitLagOf({ channel: given.channel ?? channel, receiver: seen, workers: [worker] }, before, 0);
}

function lag(given: Given, before?: CommitMark): number | string {
  const { lagSeconds } = look(given, before);
  return lagSeconds.known ? lagSeconds.value : lagSeconds.why;
}

test('commit lag: an idle replica that has executed all it received is 0, however long ago that was', () => {
  assert.equal(lag({ executedAll: true, queued: 100, applied: 100 }), 0);
  assert.equal(
    lag({ executedAll: true, queued: 100, applied: 0 }),
    0,
    'the applier was started anew and has forgotten',
  );
  assert.equal(typeof lag({ executedAll: false, queued: 100, applied: 100 }), 'string', 'GTIDs know better than times');
  assert.equal(lag({ executedAll: undefined, queued: 100, applied: 100 }), 0, 'without GTIDs, by the times');
  const equal: ReplicaChannel = { ...channel, executed: channel.received };
  assert.equal(
    lag({ executedAll: undefined, channel: equal }),
    0,
    'nothing received since the start, by the positions',
  );
  assert.equal(typeof lag({ executedAll: undefined }), 'string', 'positions differ');
});

test('commit lag: what is received or applied tells its age; the oldest counts', () => {
  assert.equal(lag({ queued: 995, applied: 900, applying: 990 }), 10);
  assert.equal(lag({ queued: 995, applied: 900, applying: 990, queueing: 980 }), 20);
  assert.equal(lag({ executedAll: true, queued: 900, applied: 900, queueing: 970 }), 30, 'half received');
});

test('commit lag: unknown where it would be wrong', () => {
  assert.match(String(lag({ applying: 0 })), /stamps no commit times/);
  assert.match(String(lag({ applying: 1005 })), /the source is 5 s or more ahead/);
  assert.equal(lag({ applying: 1000.5 }), 0, 'clocks that agree well enough');
  const stopped: ReplicaChannel = { ...channel, state: 'stalled', why: 'nothing came' };
  assert.equal(lag({ executedAll: true, channel: stopped }), 'nothing came');
  assert.match(String(lag({ queued: 995, applied: 100 })), /before this was first looked at/);
});

test('commit lag: a transaction that only waits (SOURCE_DELAY) is as old as the look that saw it come', () => {
  const idle = look({ executedAll: true, queued: 100, applied: 100 }).mark;
  const waits = look({ now: 1015, queued: 1010, applied: 100 }, idle);
  assert.deepEqual(waits.lagSeconds.known && waits.lagSeconds.value, 5);
  const more = look({ now: 1045, queued: 1040, applied: 100 }, waits.mark);
  assert.deepEqual(more.lagSeconds.known && more.lagSeconds.value, 35, 'the first one still waits');
  // STOP and START of the applier: the server forgets what it applied
  assert.equal(lag({ now: 1046, queued: 1040, applied: 0 }, more.mark), 36);
  assert.equal(lag({ now: 1050, queued: 1040, applied: 1010 }, more.mark), 10);
});

test('commit lag of a delayed replica is right to the distance between two looks, whatever comes when', () => {
  const random = generator(20_261_121);
  for (let round = 0; round < 200; round++) {
    const delay = 1 + random() * 300;
    const everySeconds = 1 + random() * 15;
    const meanGap = 0.1 + random() * 60;
    const commits: number[] = [];
    for (let at = 1000; at < 3000; at += -Math.log(1 - random()) * meanGap) commits.push(at);
    let mark: CommitMark | undefined;
    let checked = 0;
    for (let now = 999; now < 3000; now += everySeconds) {
      const received = commits.filter((c) => c <= now);
      const waiting = received.filter((c) => c > now - delay);
      const given = {
        now,
        queued: received.at(-1) ?? 0,
        applied: commits.findLast((c) => c <= now - delay) ?? 0,
        executedAll: waiting.length === 0,
      };
      const found = look(given, mark);
      mark = found.mark;
      const truth = waiting.length === 0 ? 0 : now - (waiting[0] ?? now);
      if (!found.lagSeconds.known) continue;
      checked++;
      const error = truth - found.lagSeconds.value;
      assert.ok(
        error >= -1e-6 && error <= everySeconds * 1.01 + 1e-6,
        `round ${round}: ${found.lagSeconds.value}, but ${truth}`,
      );
    }
    assert.ok(checked > 50);
  }
});

test('commit lag: a source whose clock is an hour behind is found out by what comes after a heartbeat', () => {
  const idle = { executedAll: true, queued: 100, arrived: 3700, applied: 100 };
  const first = look({ ...idle, now: 5000, heartbeat: 4990 });
  const beat = look({ ...idle, now: 5015, heartbeat: 5010 }, first.mark);
  // one transaction, received at once, and a heartbeat again
  const came = { now: 5030, queued: 1420, arrived: 5020, applied: 100, applying: 1420 };
  assert.match(String(lag({ ...came, heartbeat: 5010 }, beat.mark)), /the source is 3590 s or more behind/);
  assert.match(String(lag({ ...came, heartbeat: 5025 }, beat.mark)), /the source is 3590 s or more behind/);
  const known = look({ ...came, heartbeat: 5025 }, beat.mark);
  assert.match(
    String(lag({ ...came, now: 5040, arrived: 5039, queued: 1439 }, known.mark)),
    /behind/,
    'it is remembered',
  );
  const mended = look({ now: 5060, queued: 5059, arrived: 5059.1, applied: 1439, applying: 5059 }, known.mark);
  assert.deepEqual(mended.lagSeconds, { known: true, value: 1, observedAtMs: 0 }, 'until the clocks agree');

  // A long backlog after an outage is a lag, and not a matter of clocks
  const restarted = look({ ...idle, now: 5015, heartbeat: 5010, threadId: 'b' }, first.mark);
  assert.equal(lag({ ...came, heartbeat: 5010, threadId: 'b' }, restarted.mark), 3610);
  assert.equal(lag({ ...came, heartbeat: 0 }, undefined), 3610, 'nothing is known of idle times');
});
