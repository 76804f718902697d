// The pure parts of maxwell.restart: classes of ends, movement of the data, the copy with its undo, the advice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { classify, classifyEnd, neverCodes } from '../../../remediator/actions/maxwell/classify.ts';
import { judgeMovement, type MovementSample } from '../../../remediator/actions/maxwell/movement.ts';
import { literal, snapshotText } from '../../../remediator/actions/maxwell/snapshot.ts';
import type { ServiceEnd, ServiceLog, ServiceState } from '../../../remediator/supervisors/supervisor.ts';

const incarnation = { id: 'process:b:1:2:3', pid: 1, startedAtMs: 1_000 };

function log(text: string): Known<ServiceLog> {
  return known({ text, complete: true, why: null }, 1);
}

function ended(exitCode: number | null, signal: string | null = null, by: string | null = null): ServiceEnd {
  return {
    incarnation,
    exit: known({ exitCode, signal }, 1),
    endedAtMs: 2_000,
    asked: by === null ? null : { by, fence: 1 },
  };
}

const sourceUp = { sourceUpSeconds: known(100, 1), wantedSeconds: 60 };
const sourceYoung = { sourceUpSeconds: known(10, 1), wantedSeconds: 60 };
const sourceUnseen = { sourceUpSeconds: unknown('no answer'), wantedSeconds: 60 };

/** Exit codes and texts as seen on Maxwell 1.44.1. */
const ends: readonly (readonly [what: string, end: ServiceEnd, text: Known<ServiceLog>, expected: string])[] = [
  ['SIGTERM by somebody', ended(143), log('INFO TaskManager - Stopped all tasks'), 'deny stopped_on_purpose'],
  ['SIGTERM before it listened to it', ended(null, 'SIGTERM'), log(''), 'deny stopped_on_purpose'],
  [
    'a stop that a person asked for',
    ended(143, null, 'person:ann'),
    log('Stopped all tasks'),
    'deny stopped_on_purpose',
  ],
  ['a person’s stop that ended in a kill', ended(null, 'SIGKILL', 'person:ann'), log(''), 'deny stopped_on_purpose'],
  ['a stop of an earlier run', ended(143, null, 'run:r1'), log('Stopped all tasks'), 'allow stopped_by_us'],
  ['kill -9', ended(null, 'SIGKILL'), log('INFO BinlogConnectorReplicator'), 'allow killed'],
  ['kill -9 behind a shell', ended(137), log(''), 'allow killed'],
  ['kill -9 with a full heap', ended(137), log('java.lang.OutOfMemoryError: Java heap space'), 'deny memory'],
  ['a full heap', ended(1), log('Exception in thread "blc-x" java.lang.OutOfMemoryError'), 'deny memory'],
  ['a wrong password', ended(1), log("SQLException: Access denied for user 'maxwell'@'h'"), 'deny access_denied'],
  ['an option it does not know', ended(1), log("'nonsense' is not a recognized option"), 'deny bad_options'],
  ['positions deleted after RESET', ended(1), log("RuntimeException: Couldn't find database shop"), 'deny schema_lost'],
  [
    'MySQL down at its start',
    ended(1),
    log('CommunicationsException: Communications link failure'),
    'allow source_lost',
  ],
  ['MySQL stopped', ended(1), log('Maximum reconnection attempts reached.'), 'allow source_lost'],
  ['Kafka gone', ended(1), log('Expiring 12 record(s) for maxwell-0:120000 ms has passed'), 'allow kafka_lost'],
  ['code 1 without a reason', ended(1), log('something else'), 'deny unknown_error'],
  [
    'a purged binlog',
    ended(2),
    log('Could not find first log file name in binary log index file'),
    'deny binlog_purged',
  ],
  ['a position beyond the file', ended(2), log('start replication from position > file size'), 'deny binlog_purged'],
  ['a position within an event', ended(2), log('binlog truncated in the middle of event'), 'deny binlog_purged'],
  ['purged GTIDs', ended(2), log('because the source purged required binary logs'), 'deny binlog_purged'],
  ['RESET MASTER', ended(2), log("couldn't find the requested binlog"), 'deny binlog_purged'],
  // 1.44.1 whose HTTP server is not up yet ends with 1 instead of 2; Kafka may have been complained about before
  [
    'a purged binlog, with 1',
    ended(1),
    log("Expiring 3 record(s)\ncouldn't find the requested binlog"),
    'deny binlog_purged',
  ],
  [
    'a second one, with 1',
    ended(1),
    log('Communications link failure\nsame server_uuid/server_id'),
    'deny second_owner',
  ],
  ['a second one', ended(2), log('A replica with the same server_uuid/server_id as this one'), 'deny second_owner'],
  ['code 2 without a reason', ended(2), log('something else'), 'deny unknown_exit_2'],
  ['another signal', ended(null, 'SIGSEGV'), log(''), 'deny unknown_end'],
  ['code 0', ended(0), log(''), 'deny unknown_end'],
  ['an unreadable log', ended(1), unknown('lost'), 'unknown log_unknown'],
  ['an end that nobody saw', { ...ended(1), exit: unknown('its parent died') }, log(''), 'unknown exit_unknown'],
];
for (const [what, end, text, expected] of ends) {
  test(`an end by ${what}: ${expected}`, () => {
    const verdict = classifyEnd(end, text, sourceUp);
    assert.equal(`${verdict.is} ${verdict.code}`, expected);
  });
}

test('after a loss of the source: not before it has been up for a while, and not unseen', () => {
  const text = log('Communications link failure');
  assert.equal(classifyEnd(ended(1), text, sourceYoung).code, 'source_settling');
  assert.equal(classifyEnd(ended(1), text, sourceYoung).is, 'unknown');
  assert.equal(classifyEnd(ended(1), text, sourceUnseen).code, 'source_unknown');
});

test('classes that no restart mends are the ones that are latched', () => {
  for (const code of ['access_denied', 'binlog_purged', 'second_owner', 'unknown_exit_2', 'schema_lost']) {
    assert.ok(neverCodes.has(code), code);
  }
  for (const code of ['killed', 'source_lost', 'stopped_on_purpose', 'memory']) assert.ok(!neverCodes.has(code), code);
});

const running: ServiceState = {
  running: incarnation,
  processState: known('S', 1),
  orphan: false,
  last: null,
  maxFence: 1,
};
const states: readonly (readonly [what: string, state: Known<ServiceState>, text: string, expected: string])[] = [
  ['alive', known(running, 1), '', 'allow alive'],
  ['held by SIGSTOP', known({ ...running, processState: known('T', 1) }, 1), '', 'deny held'],
  ['traced', known({ ...running, processState: known('t', 1) }, 1), '', 'deny held'],
  ['of unknown state', known({ ...running, processState: unknown('gone') }, 1), '', 'unknown process_state_unknown'],
  ['out of memory', known(running, 1), 'java.lang.OutOfMemoryError', 'deny memory'],
  ['reconnecting', known(running, 1), 'Reconnection attempt: 7 of unlimited', 'unknown source_settling'],
  ['reconnected long ago', known(running, 1), `Reconnection attempt: 7\n${'row\n'.repeat(30)}`, 'allow alive'],
  ['an orphan', known({ ...running, orphan: true }, 1), '', 'deny orphan'],
  ['never run', known({ ...running, running: null }, 1), '', 'deny never_ran'],
  ['unseen', unknown('no answer'), '', 'unknown supervisor_unknown'],
];
for (const [what, state, text, expected] of states) {
  test(`a service ${what}: ${expected}`, () => {
    const verdict = classify(state, log(text), sourceYoung);
    assert.equal(`${verdict.is} ${verdict.code}`, expected);
  });
}

const startedAtMs = 10_000;
const before = { dumpIds: [7], lastReadMs: 9_000, place: '1 binlog.1 100' };
const sample = (change: Partial<MovementSample> = {}): MovementSample => ({
  dumpIds: [7, 8],
  lastReadMs: 12_000,
  place: '1 binlog.1 300',
  lagSeconds: 0,
  failedMessages: 0,
  ...change,
});
const moving = [
  sample({ lastReadMs: 11_000, place: '1 binlog.1 200' }),
  sample({ lastReadMs: 12_000 }),
  sample({ lastReadMs: 13_000, place: '1 binlog.1 400' }),
];

test('data that moves, and data that is not counted by HTTP but moves', () => {
  assert.equal(judgeMovement(moving, before, startedAtMs).is, 'moves');
  const silent = moving.map((s) => ({ ...s, failedMessages: 'off' as const }));
  assert.equal(judgeMovement(silent, before, startedAtMs).is, 'moves');
});

const still: readonly (readonly [what: string, samples: readonly MovementSample[], missing: RegExp])[] = [
  ['no sample', [], /not looked at/],
  ['one sample', moving.slice(0, 1), /1 of 2 heartbeats/],
  ['only the dump thread that was left behind', moving.map((s) => ({ ...s, dumpIds: [7] })), /no new connection/],
  ['heartbeats read before its start', moving.map((s, i) => ({ ...s, lastReadMs: 9_500 + i })), /0 of 2 heartbeats/],
  ['the same heartbeat again and again', moving.map((s) => ({ ...s, lastReadMs: 12_000 })), /1 of 2 heartbeats/],
  ['no heartbeat read at all', moving.map((s) => ({ ...s, lastReadMs: undefined })), /0 of 2 heartbeats/],
  ['a position that stands', moving.map((s) => ({ ...s, place: before.place })), /position has not moved/],
  ['a position that moved once', moving.map((s) => ({ ...s, place: 'x' })), /position has not moved/],
  ['a lag that rises', moving.map((s, i) => ({ ...s, lagSeconds: i * 2 })), /lag rises/],
  ['a lag that is not known', moving.map((s) => ({ ...s, lagSeconds: undefined })), /too few samples/],
  ['failures that cannot be counted', moving.map((s) => ({ ...s, failedMessages: undefined })), /cannot be read/],
];
for (const [what, samples, missing] of still) {
  test(`not yet moving: ${what}`, () => {
    const movement = judgeMovement(samples, before, startedAtMs);
    assert.equal(movement.is, 'not_yet');
    assert.match(movement.missing.join('; '), missing);
  });
}

test('lost messages end the verification at once', () => {
  const movement = judgeMovement([sample({ failedMessages: 3 })], before, startedAtMs);
  assert.equal(movement.is, 'failed');
});

test('literals: quotes, backslashes and line ends cannot leave them', () => {
  assert.equal(literal("o'clock"), "'o''clock'");
  assert.equal(literal(null), 'NULL');
  assert.equal(literal(12), '12');
  assert.equal(
    literal("a\\'; DROP TABLE x; --"),
    "CONVERT(X'615c273b2044524f50205441424c4520783b202d2d' USING utf8mb4)",
  );
  assert.match(literal('two\nlines'), /^CONVERT\(X'[0-9a-f]+' USING utf8mb4\)$/);
});

test('the copy: one statement per row, on one line, and everything else as a comment', () => {
  const text = snapshotText({
    target: 'maxwell1',
    schema: 'maxwell',
    clientId: 'maxwell',
    takenAt: '2026-01-01T00:00:00.000Z',
    rows: {
      positions: [{ server_id: '1', client_id: 'maxwell', binlog_file: 'binlog.000001', gtid_set: null }],
      heartbeats: [{ server_id: '1', heartbeat: '17' }],
      bootstrap: [],
      schemaId: '3',
    },
    also: { note: 'a\nb' },
  });
  const statements = text.split('\n').filter((line) => line !== '' && !line.startsWith('--'));
  assert.deepEqual(statements, [
    'START TRANSACTION;',
    "REPLACE INTO `maxwell`.`positions` (`server_id`, `client_id`, `binlog_file`, `gtid_set`) VALUES ('1', 'maxwell', 'binlog.000001', NULL);",
    "REPLACE INTO `maxwell`.`heartbeats` (`server_id`, `heartbeat`) VALUES ('1', '17');",
    'COMMIT;',
  ]);
});
