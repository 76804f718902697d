import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { counter, emitState, gauge, type Emit } from '../../families.ts';
import { classOf } from '../../runtime/errors.ts';
import type { MaxwellClient } from './client.ts';
import { endClass, type EndClass } from './facts-end.ts';
import { logClasses, logLevels } from './facts-log.ts';
import { LogFollower } from './facts-log-file.ts';
import { readWitness, type Witness } from './facts-witness.ts';

const readStates = ['reading', 'reading_from_end', 'behind', 'absent', 'denied', 'failed', 'not_configured'] as const;
type ReadState = (typeof readStates)[number];

const endStates = ['never', 'known', 'unknown', 'unreadable', 'not_configured'] as const;
type EndState = (typeof endStates)[number];

const absent = { state: 'maxwell_log_read_state' } as const;

const noEnd = { state: 'maxwell_last_exit_state' } as const;

const families = {
  state: gauge(
    'maxwell_log_read_state',
    'How the log of Maxwell is read: one series per state, 1 for the present one. reading_from_end: what it held when the exporter first looked was left out, as log_state_file was not set or not there yet. behind: its end was not reached.',
    ['state'],
  ),
  events: counter(
    'maxwell_log_events_total',
    'Events in the log by class, a line with its stack trace being one; the end of a process is often told more than once.',
    ['class'],
    absent,
  ),
  lines: counter(
    'maxwell_log_lines_total',
    'Lines of the log by level, without those that go on with the line before; none: a line without a level.',
    ['level'],
    absent,
  ),
  last: gauge('maxwell_log_last_event_class_info', 'The class of the newest event in the log.', ['class'], absent),
  behind: gauge('maxwell_log_behind_bytes', 'What stands in the log and was not read yet.', [], absent),
  gaps: counter(
    'maxwell_log_gaps_total',
    'Times that lines of the log may have been missed: it was emptied without a copy, what was read before was not found again, or it grew faster than it can be read.',
    [],
    absent,
  ),
  rotations: counter(
    'maxwell_log_rotations_total',
    'Times that the log was found to be another file, or emptied.',
    [],
    absent,
  ),
  endState: gauge(
    'maxwell_last_exit_state',
    "Whether it is known how Maxwell ended last, by its supervisor's record (witness_file): one series per state, 1 for the present one.",
    ['state'],
  ),
  exitCode: gauge(
    'maxwell_last_exit_code',
    'Exit code of the last end of Maxwell; absent when a signal ended it.',
    [],
    noEnd,
  ),
  endClass: gauge(
    'maxwell_last_exit_class_info',
    'Why Maxwell ended last, by its exit code and by the log of that life.',
    ['class'],
    noEnd,
  ),
  endedAt: gauge('maxwell_last_exit_timestamp_seconds', 'When Maxwell ended last.', [], noEnd),
  starts: counter('maxwell_starts_total', 'Times that its supervisor has started Maxwell.', [], noEnd),
} as const;

interface State {
  readonly log: LogFollower;
  read: ReadState;
  end: EndState;
  /** As last read. */
  witness: Witness | undefined;
  /** Of the end at this time; found once its log was read. */
  endClass: { readonly endedAtMs: number; readonly of: EndClass } | undefined;
}

/** Reads what was added to the log, a bounded part of it in one sweep. Counts are kept while the log cannot be read. */
export const logCollector = collectorOf<MaxwellClient>()({
  name: 'log',
  help: 'Events by class from the log of Maxwell, read over rotation and truncation, and how its last life has ended.',
  keeps: 'how far the log is read and what was counted in it; over a restart in log_state_file',
  config: z.strictObject({
    /** Read in one sweep at most. A Maxwell that cannot reconnect was seen to write some 0.4 MB a second (1.44.1). */
    max_bytes: z.int().min(65_536).max(268_435_456).default(8_388_608),
  }),
  families,
  state: (): State => ({
    log: new LogFollower(),
    read: 'not_configured',
    end: 'not_configured',
    witness: undefined,
    endClass: undefined,
  }),
  async collect({ client, config, emit, call, state }) {
    // The record first: what a life wrote before its recorded end stands in the log already.
    const failures = [await readRecord(client, state), await readLog(client, state, config.max_bytes, call)];
    if (state.end === 'known') classify(state);
    const failure = failures.find((error) => error !== undefined);
    if (failure !== undefined) throw failure;
    emitAll(emit, state, call);
  },
  unknown({ emit, call, state }) {
    emitAll(emit, state, call);
  },
});

async function readLog(
  client: MaxwellClient,
  state: State,
  budgetBytes: number,
  call: CollectorCall,
): Promise<Error | undefined> {
  const { logFile, logStateFile } = client.address;
  if (logFile === undefined) return undefined;
  if (state.read === 'not_configured') state.read = 'failed'; // until it was read
  try {
    const tail = await client.logTail(() => state.log.open(logFile, logStateFile));
    await state.log.read(tail, logFile, budgetBytes, call);
    if (logStateFile !== undefined && call.isExamination !== true) await state.log.save(logFile, logStateFile);
    state.read = readStateOf(state.log);
    return undefined;
  } catch (error) {
    state.read = classOf(error) === 'denied' ? 'denied' : 'failed';
    return asError(error);
  }
}

async function readRecord({ address }: MaxwellClient, state: State): Promise<Error | undefined> {
  if (address.witnessFile === undefined) return undefined;
  try {
    const witness = await readWitness(address.witnessFile);
    state.witness = witness;
    if (witness.last === undefined) state.end = witness.isReadWhole ? 'never' : 'unknown';
    else state.end = witness.last.why === null ? 'known' : 'unknown';
    return undefined;
  } catch (error) {
    state.end = 'unreadable';
    state.witness = undefined;
    return asError(error);
  }
}

/** Kept from when the whole log of that life was read and nothing of the next: later it has left the reader's sight. */
function classify(state: State): void {
  const last = state.witness?.last;
  if (last === undefined) return;
  const { reader, report } = state.log;
  const isSettled = state.endClass?.endedAtMs === last.endedAtMs && state.endClass.of !== 'unclassified';
  if (isSettled) return;
  if (report !== undefined && report.behindBytes > 0) return;
  reader.settle();
  const life = last.isFollowed ? reader.lifeBefore : reader.life;
  state.endClass = { endedAtMs: last.endedAtMs, of: endClass(last, report === undefined ? undefined : life) };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function readStateOf({ report, began }: LogFollower): ReadState {
  if (report === undefined) return 'failed';
  if (!report.isThere) return 'absent';
  if (report.behindBytes > 0) return 'behind';
  return began === 'end' ? 'reading_from_end' : 'reading';
}

function emitAll(emit: Emit<typeof families>, state: State, call: CollectorCall): void {
  emitLog(emit, state, call);
  emitState(
    (value, s) => {
      emit.endState(value, { state: s });
    },
    endStates,
    state.end,
  );
  const { witness } = state;
  if (witness === undefined) return;
  emit.starts(witness.starts);
  const { last } = witness;
  if (last === undefined) return;
  emit.endedAt(last.endedAtMs / 1000);
  if (last.exitCode !== null) emit.exitCode(last.exitCode);
  const found = state.endClass?.endedAtMs === last.endedAtMs ? state.endClass.of : 'unclassified';
  emit.endClass(1, { class: found });
}

function emitLog(emit: Emit<typeof families>, { log, read }: State, call: CollectorCall): void {
  emitState(
    (value, state) => {
      emit.state(value, { state });
    },
    readStates,
    read,
  );
  const { report, reader } = log;
  if (report === undefined) return;
  if (log.caughtUpAtMs !== undefined && report.behindBytes > 0) call.observed?.(log.caughtUpAtMs);
  for (const found of logClasses) emit.events(reader.events[found], { class: found });
  for (const level of logLevels) emit.lines(reader.lines[level], { level });
  if (reader.lastClass !== undefined) emit.last(1, { class: reader.lastClass });
  emit.behind(report.behindBytes);
  emit.gaps(log.gaps);
  emit.rotations(log.rotations);
}
