import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { codeOf, messageOf, TargetError } from '../../runtime/errors.ts';
import { LogTail, type TailMark, type TailReport } from '../../runtime/log-tail.ts';
import type { RedisClient } from './client.ts';
import { logClasses, LogCounts } from './facts-log.ts';
import { logFamilies } from './families-log.ts';

const readStates = [
  'reading',
  'reading_from_end',
  'behind',
  'absent',
  'denied',
  'failed',
  'not_configured',
  'unknown', // the server has not answered yet
] as const;
type ReadState = (typeof readStates)[number];

interface State {
  readonly counts: LogCounts;
  read: ReadState;
  report: TailReport | undefined;
  /** Where the first look began. */
  began: TailReport['began'];
  /** Over all tails: there is one for each connection. */
  gaps: number;
  gapsOfTail: number;
  tail: LogTail | undefined;
  mark: TailMark | undefined;
}

/** Reads what was added to the log since the last sweep, a bounded part of it. Counts are kept while it cannot be read. */
export const logCollector = collectorOf<RedisClient>()({
  name: 'log',
  help: 'What the log of the server tells of replication, by class; needs log_file.',
  keeps: 'how far the log is read, and what was counted in it',
  config: z.strictObject({
    /** Read in one sweep at most. */
    max_bytes: z.int().min(65_536).max(268_435_456).default(8_388_608),
  }),
  families: logFamilies,
  state: (): State => ({
    counts: new LogCounts(),
    read: 'unknown',
    report: undefined,
    began: undefined,
    gaps: 0,
    gapsOfTail: 0,
    tail: undefined,
    mark: undefined,
  }),
  async collect({ client, config, emit, call, state }) {
    if (client.logFile === undefined) state.read = 'not_configured';
    else await readLog(client, client.logFile, state, config.max_bytes, call);
    emitLog(emit, state);
  },
  unknown({ emit, state }) {
    emitLog(emit, state);
  },
});

/** @throws TargetError `denied`, `failed` */
async function readLog(
  client: RedisClient,
  path: string,
  state: State,
  budgetBytes: number,
  { signal, clock }: CollectorCall,
): Promise<void> {
  const tail = client.logTail(() => new LogTail({ path, from: state.mark }));
  if (tail !== state.tail) state.gapsOfTail = 0;
  state.tail = tail;
  try {
    const report = await tail.read({ onLine: state.counts.onLine, signal, budgetBytes }, clock.monoMs());
    state.gaps += report.gaps - state.gapsOfTail;
    state.gapsOfTail = report.gaps;
    state.report = report;
    state.began ??= report.began;
    state.read = readStateOf(report, state.began);
  } catch (error) {
    const isDenied = ['EACCES', 'EPERM'].includes(codeOf(error) ?? '');
    state.read = isDenied ? 'denied' : 'failed';
    throw new TargetError(state.read === 'denied' ? 'denied' : 'failed', `its log: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    state.mark = tail.mark;
  }
}

function readStateOf({ isThere, behindBytes }: TailReport, began: TailReport['began']): ReadState {
  if (!isThere) return 'absent';
  if (behindBytes > 0) return 'behind';
  return began === 'end' ? 'reading_from_end' : 'reading';
}

function emitLog(emit: Emit<typeof logFamilies>, { counts, read, report, gaps }: State): void {
  emitState(
    (value, state) => {
      emit.state(value, { state });
    },
    readStates,
    read,
  );
  if (report === undefined) return;
  for (const found of logClasses) emit.events(counts.events[found], { class: found });
  emit.behind(report.behindBytes);
  emit.gaps(gaps);
}
