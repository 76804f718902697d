// That the thread lives, that the data moves through it, and that both last.
import type { Call } from '../../../exporter/collector.ts';
import { pause } from '../../../exporter/runtime/deadline.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { comparePositions, readBinlogs, type BinlogPosition } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { ReplicaChannel } from '../../../exporter/systems/mysql/facts-replication.ts';
import { readDumpThreads } from '../../../exporter/systems/mysql/facts-threads.ts';
import type { Checked, Step, StepRun } from '../../action.ts';
import { attempt, type World } from '../../world.ts';
import { looking } from '../looking.ts';
import type { Before } from './before.ts';
import { ioClass, sqlClass } from './errors.ts';
import { openTarget, readChannels, type WatchedChannel } from './facts.ts';
import { judgeMovement, type Sample } from './movement.ts';

export interface VerifyParams {
  readonly stableSeconds: number;
  readonly verifySeconds: number;
}

type Run = StepRun<Before>;

const startLimitSeconds = 30;
const pollMs = 300;
const sampleMs = 1_000;

export function verifyThreads(target: string, params: VerifyParams, world: World): Step<Before> {
  return {
    ...looking,
    name: 'verify_threads',
    help: 'The thread runs without an error for a while.',
    verifyMs: (startLimitSeconds + params.stableSeconds) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const { clock } = world;
      const untilMono = clock.monoMs() + startLimitSeconds * 1000;
      let since: number | undefined;
      return await onReplica(target, world, run, async (client, call) => {
        for (;;) {
          const now = await channelOn(target, client, world, run, call);
          if (now === undefined) return { is: 'no', because: 'the channel is gone' };
          const ended = endOf(now.channel, run.before);
          if (ended !== undefined) return ended;
          const runs = isRunning(now.channel, run.before);
          since = runs ? (since ?? clock.monoMs()) : undefined;
          if (since !== undefined && clock.monoMs() - since >= params.stableSeconds * 1000) {
            return { is: 'yes', because: `it has run for ${params.stableSeconds} s` };
          }
          if (!runs && clock.monoMs() >= untilMono) return { is: 'no', because: now.channel.why };
          await pause(pollMs, run.signal);
        }
      });
    },
    compensate: 'none',
  };
}

/** What the source had at a moment after the start; the replica is asked until it has it. */
interface Mark {
  /** MySQL: a set; MariaDB: a position; '' without GTID. */
  readonly gtids: string;
  readonly at: BinlogPosition | null;
}

export function verifyData(target: string, params: VerifyParams, world: World): Step<Before> {
  return {
    ...looking,
    name: 'verify_data',
    help: 'Changes move: what the source has written by now arrives and is executed.',
    verifyMs: (params.verifySeconds + 10) * 1000,
    safePointAfter: true,
    verify: async (run) => {
      const { clock } = world;
      const untilMono = clock.monoMs() + params.verifySeconds * 1000;
      const samples: Sample[] = [];
      let mark: Mark | undefined;
      return await onReplica(target, world, run, async (client, call) => {
        for (;;) {
          const source = await attempt(clock, () => readMark(run.before.source, world, run.signal));
          if (source.known) mark ??= source.value.mark;
          const now = await channelOn(target, client, world, run, call);
          if (now === undefined) return { is: 'no', because: 'the channel is gone' };
          const ended = endOf(now.channel, run.before);
          if (ended !== undefined) return ended;
          let why = source.known ? '' : source.why;
          if (source.known && mark !== undefined) {
            const reached = await hasReached(client, now.channel, run.before, mark, call);
            samples.push(sampleOf(now.channel, reached, source.value));
            const movement = judgeMovement(samples, run.before);
            if (movement.is === 'moves') {
              return { is: 'yes', because: movement.because, data: { looks: samples.length } };
            }
            why = movement.missing.join('; ');
          }
          if (clock.monoMs() >= untilMono) {
            return { is: 'no', because: `the data was not seen to move within ${params.verifySeconds} s: ${why}` };
          }
          await pause(sampleMs, run.signal);
        }
      });
    },
    compensate: 'none',
  };
}

/** One look during the soak. */
export async function soakLook(target: string, world: World, run: Run): Promise<Checked> {
  return await onReplica(target, world, run, async (client, call) => {
    const now = await channelOn(target, client, world, run, call);
    if (now === undefined) return { is: 'no', because: 'the channel is gone' };
    const ended = endOf(now.channel, run.before);
    if (ended !== undefined) return ended;
    if (isRunning(now.channel, run.before)) return { is: 'yes', because: now.channel.why };
    return { is: 'no', because: now.channel.why };
  });
}

async function onReplica(
  target: string,
  world: World,
  run: Run,
  look: (client: MysqlClient, call: Call) => Promise<Checked>,
): Promise<Checked> {
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, run.signal);
    return await look(client, { signal: run.signal, clock: world.clock });
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

async function channelOn(
  target: string,
  client: MysqlClient,
  world: World,
  run: Run,
  call: Call,
): Promise<WatchedChannel | undefined> {
  return (await readChannels(target, client, world, call)).find((c) => c.name === run.before.channel);
}

function isRunning(channel: ReplicaChannel, { thread, sqlRunning }: Before): boolean {
  const io = channel.ioRunning === 'yes' && channel.state !== 'stalled';
  if (thread === 'io') return io && (channel.sqlRunning || !sqlRunning);
  return channel.sqlRunning;
}

/** It has ended again, with an error: what kind decides whether another try is to be made at all. */
function endOf(channel: ReplicaChannel, { thread }: Pick<Before, 'thread'>): Checked | undefined {
  const { lastIoErrno, lastIoError, lastSqlErrno, lastSqlError } = channel;
  const found =
    thread === 'io'
      ? channel.ioRunning === 'no' && lastIoErrno !== 0
        ? ioClass(lastIoErrno, lastIoError)
        : undefined
      : !channel.sqlRunning && lastSqlErrno !== 0
        ? sqlClass(lastSqlErrno, lastSqlError, new Set())
        : undefined;
  if (found === undefined) return undefined;
  const because = `it has ended again (${found.code}): ${channel.why}`;
  return found.remedy === 'never' && found.code !== 'unknown_error'
    ? { is: 'no', because, never: because }
    : { is: 'no', because };
}

interface SourceNow {
  readonly mark: Mark;
  readonly dumpIds: readonly number[] | null;
}

async function readMark(source: string, world: World, signal: AbortSignal): Promise<SourceNow> {
  const call: Call = { signal, clock: world.clock };
  await using client = await openTarget(source, world, signal);
  const variable = client.flavour === 'mariadb' ? '@@GLOBAL.gtid_binlog_pos' : '@@GLOBAL.gtid_executed';
  const [row] = await client.query(`SELECT ${variable} AS gtids`, [], call);
  const { current: at } = await readBinlogs(client, call);
  const threads = await attempt(world.clock, () => readDumpThreads(client, call));
  const gtids = row?.['gtids'];
  return {
    mark: { gtids: typeof gtids === 'string' ? gtids.replaceAll('\n', '') : '', at: at ?? null },
    dumpIds: threads.known ? threads.value.map((t) => t.id) : null,
  };
}

/** The applier's own word where there is one (it waits a second for it), else by the position. */
async function hasReached(
  client: MysqlClient,
  channel: ReplicaChannel,
  { thread, sqlRunning }: Before,
  { gtids, at }: Mark,
  call: Call,
): Promise<boolean> {
  const applies = thread === 'sql' || sqlRunning;
  if (applies && channel.gtid !== 'no' && gtids !== '') {
    // https://mariadb.com/kb/en/master_gtid_wait/: 0, or -1 after the time;
    // https://dev.mysql.com/doc/refman/8.4/en/gtid-functions.html: 0, or 1 after the time
    const wait = client.flavour === 'mariadb' ? 'MASTER_GTID_WAIT(?, 1)' : 'WAIT_FOR_EXECUTED_GTID_SET(?, 1)';
    const [row] = await client.query(`SELECT ${wait} AS answer`, [gtids], call);
    return Number(row?.['answer']) === 0;
  }
  const place = applies ? channel.executed : channel.received;
  if (place === undefined || at === null) return false;
  const order = comparePositions(place, at);
  return order !== undefined && order >= 0;
}

function sampleOf(channel: ReplicaChannel, reached: boolean, source: SourceNow): Sample {
  return {
    ioRunning: channel.ioRunning === 'yes' && channel.state !== 'stalled',
    sqlRunning: channel.sqlRunning,
    received: channel.received ?? null,
    executed: channel.executed ?? null,
    lagSeconds: channel.lagSeconds.known ? channel.lagSeconds.value : null,
    heartbeats: channel.heartbeats?.received ?? null,
    reached,
    sourceAt: source.mark.at,
    dumpIds: source.dumpIds,
  };
}
