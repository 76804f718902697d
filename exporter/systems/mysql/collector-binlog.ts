import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import { known, unknown } from '../../runtime/known.ts';
import type { MysqlClient } from './client.ts';
import { BinlogWatch } from './facts-binlog-growth.ts';
import { binlogAges, binlogAgesFact, BinlogHistory } from './facts-binlog-history.ts';
import { readBinlogServer, sourceLogFact, type BinlogServer } from './facts-binlog-server.ts';
import { binlogsFact, readBinlogsSparingly, type Binlogs, type BinlogsRead } from './facts-binlogs.ts';
import { binlogFamilies, binlogStates, retainedStates, retentionStates, type BinlogState } from './families-binlog.ts';

type EmitBinlog = Emit<typeof binlogFamilies>;

interface State {
  readonly watch: BinlogWatch;
  readonly history: BinlogHistory;
  read: BinlogsRead | undefined;
  server: { readonly of: MysqlClient; readonly readAtMs: number; readonly value: BinlogServer } | undefined;
}

/** Settings change rarely: they are asked again after this time, and on a new connection. */
const settingsEveryMs = 60_000;

export const binlogCollector = collectorOf<MysqlClient>()({
  name: 'binlog',
  help: 'Number, size, growth and retention of the binary logs.',
  keeps: 'how the binary logs grew: their growth, age and reach',
  config: z.strictObject({}),
  families: binlogFamilies,
  state: (): State => ({ watch: new BinlogWatch(), history: new BinlogHistory(), read: undefined, server: undefined }),
  async collect({ client, emit, call, state }) {
    const askedAtMs = call.clock.wallMs();
    const askedAtMonoMs = call.clock.monoMs();
    // A list that was read over another connection may be another server's.
    const before = state.server?.of === client ? state.read : undefined;
    const read = await readBinlogsSparingly(client, before, call);
    state.read = read;
    call.observed?.(read.listedAtMs);
    const server = await serverOf(client, state, call);
    const { binlogs } = read;
    const { serverId, serverUuid } = server;
    call.board.publish(call.target, binlogsFact, known(binlogs, askedAtMs));
    const log = { serverId, serverUuid, binlogs, askedAtMonoMs };
    call.board.publish(call.target, sourceLogFact, known(log, askedAtMs));
    if (binlogs.current !== undefined) {
      state.history.add(askedAtMonoMs, binlogs.current, server);
      call.board.publish(call.target, binlogAgesFact, known(binlogAges(state.history, server, call.clock), askedAtMs));
    }
    if (binlogs.current === undefined) {
      emitStates(emit, 'off');
      return;
    }
    emitFiles(emit, binlogs);
    emitRetention(emit, server);
    emitGrowth(emit, state.watch, { binlogs, server }, call);
  },
  unknown({ emit, call, why }) {
    call.board.publish(call.target, binlogsFact, unknown(why));
    call.board.publish(call.target, sourceLogFact, unknown(why));
    call.board.publish(call.target, binlogAgesFact, unknown(why));
    emitStates(emit, 'unknown');
  },
});

async function serverOf(client: MysqlClient, state: State, call: CollectorCall): Promise<BinlogServer> {
  const before = state.server;
  const nowMs = call.clock.monoMs();
  if (before?.of === client && nowMs - before.readAtMs < settingsEveryMs) return before.value;
  const value = await readBinlogServer(client, call);
  state.server = { of: client, readAtMs: nowMs, value };
  return value;
}

/** `off` and `unknown` hold for everything that is said of binary logs. */
function emitStates(emit: EmitBinlog, state: Exclude<BinlogState, 'on'>): void {
  emitBinlogState(emit, state);
  emitRetentionState(emit, state);
  emitRetainedState(emit, state);
}

function emitFiles(emit: EmitBinlog, { files }: Binlogs): void {
  const [oldest, newest] = [files[0], files.at(-1)];
  emitBinlogState(emit, 'on');
  emit.size(files.reduce((sum, file) => sum + file.sizeBytes, 0));
  emit.files(files.length);
  if (newest !== undefined) emit.number(newest.number);
  if (oldest !== undefined) emit.oldest(oldest.number);
}

function emitRetention(emit: EmitBinlog, { retention: { seconds, bytes, isManaged } }: BinlogServer): void {
  if (seconds !== undefined) emit.retentionSeconds(seconds);
  if (bytes !== undefined) emit.retentionBytes(bytes);
  if (isManaged === true) emitRetentionState(emit, 'unknown');
  else emitRetentionState(emit, seconds === undefined && bytes === undefined ? 'unlimited' : 'limited');
}

function emitGrowth(
  emit: EmitBinlog,
  watch: BinlogWatch,
  { binlogs, server }: { readonly binlogs: Binlogs; readonly server: BinlogServer },
  { clock }: CollectorCall,
): void {
  const growth = watch.look(binlogs, { monoMs: clock.monoMs(), wallMs: clock.wallMs() }, server);
  if (growth === undefined) {
    emitRetainedState(emit, 'unknown');
    return;
  }
  const { writtenBytes, retainedSeconds, estimatedSeconds } = growth;
  emit.written(writtenBytes);
  if (retainedSeconds.known) emit.retained(retainedSeconds.value);
  else if (estimatedSeconds.known) emit.retainedEstimate(estimatedSeconds.value);
  emitRetainedState(emit, retainedSeconds.known ? 'observed' : estimatedSeconds.known ? 'estimated' : 'unknown');
}

function emitBinlogState(emit: EmitBinlog, current: BinlogState): void {
  emitState(
    (value, state) => {
      emit.state(value, { state });
    },
    binlogStates,
    current,
  );
}

function emitRetentionState(emit: EmitBinlog, current: (typeof retentionStates)[number]): void {
  emitState(
    (value, state) => {
      emit.retentionState(value, { state });
    },
    retentionStates,
    current,
  );
}

function emitRetainedState(emit: EmitBinlog, current: (typeof retainedStates)[number]): void {
  emitState(
    (value, state) => {
      emit.retainedState(value, { state });
    },
    retainedStates,
    current,
  );
}
