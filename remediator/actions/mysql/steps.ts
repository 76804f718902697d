import type { Call } from '../../../exporter/collector.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import type { Applied, Checked, Probe, Step, StepRun, StepSession } from '../../action.ts';
import type { World } from '../../world.ts';
import type { Before } from './before.ts';
import { dialectOf, type Thread } from './dialect.ts';
import { openTarget, readChannels, readFacts, sourceOf, type WatchedChannel } from './facts.ts';
import { judgePurged, judgeSource, judgeTrap, relayApplied } from './judge.ts';
import { isMutating, mutate, otherServer, sessionOf } from './session.ts';
import { verifyData, verifyThreads, type VerifyParams } from './verify.ts';

type Run = StepRun<Before>;

/** A STOP waits for its thread, and must be over well before a lease is. */
const callMs = 15_000;
/** Both are over when the server answers; what the answer was lost of may still be under way for a moment. */
const settleMs = 2_000;

/** A server that does not answer for a moment after a call is asked again for as long as its data may take to move. */
function changing({ verifySeconds }: Pick<VerifyParams, 'verifySeconds'>) {
  return {
    fencing: 'session',
    lateCopy: 'harmless',
    deadlineMs: callMs,
    settleMs,
    maxAttempts: 2,
    verifyMs: 10_000,
    answeredMs: verifySeconds * 1000,
  } as const;
}

/** A receiver that is stuck: stop, start, see. Any other thread: start, see. */
export function restartSteps(target: string, params: VerifyParams, world: World): readonly Step<Before>[] {
  return [
    stop(target, params, world),
    start('start', target, params, world),
    verifyThreads(target, params, world),
    verifyData(target, params, world),
  ];
}

type Seen = { readonly channel: WatchedChannel } | { readonly is: 'unknown' | 'gone'; readonly because: string };

/** The channel as it is now. */
async function channelNow(target: string, name: string, world: World, signal: AbortSignal): Promise<Seen> {
  const call: Call = { signal, clock: world.clock };
  let client: MysqlClient | undefined;
  try {
    client = await openTarget(target, world, signal);
    const found = (await readChannels(target, client, world, call)).find((c) => c.name === name);
    return found === undefined
      ? { is: 'gone', because: `the server lists no channel ${name} any more` }
      : { channel: found };
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}

function overtakenOr(seen: Exclude<Seen, { channel: WatchedChannel }>): Probe {
  return { is: seen.is === 'gone' ? 'overtaken' : 'unknown', because: seen.because };
}

/** Only the receiver that was seen to be stuck, and only while it is that one. The applier is never stopped. */
function stop(target: string, params: VerifyParams, world: World): Step<Before> {
  return {
    ...changing(params),
    name: 'stop',
    help: 'Stops the receiver that is stuck.',
    safePointAfter: false,
    session: (run) => Promise.resolve().then(() => sessionOf(run.lock)),
    probe: (run) => probeStop(target, world, run),
    apply: (run, session) => {
      const statement = isMutating(session) ? dialectOf(session.client).stop('io', run.before.channel) : '';
      return mutateIfAbsent(() => probeStop(target, world, run), session, statement, world, run);
    },
    verify: async (run) => {
      if (!run.before.mustStop) return { is: 'yes', because: 'no thread had to be stopped' };
      const seen = await channelNow(target, run.before.channel, world, run.signal);
      if ('is' in seen) return { is: 'unknown', because: seen.because };
      const { ioRunning } = seen.channel.channel;
      if (ioRunning === 'no') return { is: 'yes', because: 'the receiver is stopped' };
      const other = seen.channel.incarnation.known && seen.channel.incarnation.value !== run.before.incarnation;
      return other
        ? { is: 'yes', because: 'another receiver runs: the one that was stuck has ended' }
        : { is: 'no', because: `the receiver says ${ioRunning}` };
    },
    compensate: start('start_back', target, params, world),
  };
}

async function probeStop(target: string, world: World, { before, signal }: Run): Promise<Probe> {
  const { mustStop, incarnation, channel } = before;
  if (!mustStop) return { is: 'present', because: 'no thread has to be stopped' };
  const seen = await channelNow(target, channel, world, signal);
  if ('is' in seen) return overtakenOr(seen);
  const { channel: now, incarnation: id } = seen.channel;
  if (now.ioRunning === 'no') return { is: 'present', because: 'the receiver is stopped' };
  if (!id.known) return { is: 'unknown', because: id.why };
  if (id.value !== incarnation) {
    return {
      is: 'overtaken',
      because: `the receiver is thread ${id.value ?? 'none'} now: somebody has restarted it`,
    };
  }
  if (now.state === 'running') return { is: 'overtaken', because: 'the receiver runs again by itself' };
  return { is: 'absent', because: `the receiver is thread ${id.value ?? 'none'}: ${now.why}` };
}

/**
 * START and STOP compare nothing, and between the probe and the call lie a lease and a journal that may be slow: looked
 * at once more, so that an applier that has stopped since, or another receiver, is still seen.
 */
async function mutateIfAbsent(
  probe: () => Promise<Probe>,
  session: StepSession | undefined,
  statement: string,
  world: World,
  { before, signal }: Run,
): Promise<Applied> {
  const other = otherServer(session, before);
  if (other !== undefined) return other;
  const now = await probe();
  if (now.is !== 'absent') return { is: 'refused', code: 'changed_since', because: now.because };
  return await mutate(session, statement, world, signal);
}

function start(name: string, target: string, params: VerifyParams, world: World): Step<Before> {
  return {
    ...changing(params),
    name,
    help: 'Starts the thread, unless MariaDB would throw received events away.',
    safePointAfter: true,
    session: (run) => Promise.resolve().then(() => sessionOf(run.lock)),
    probe: (run) => probeStart(target, world, run),
    apply: (run, session) => {
      const { thread, channel } = run.before;
      const statement = isMutating(session) ? dialectOf(session.client).start(thread, channel) : '';
      return mutateIfAbsent(() => probeStart(target, world, run), session, statement, world, run);
    },
    // that a thread is there, not that it works: the server says OK to a thread that fails a moment later
    verify: async (run): Promise<Checked> => {
      const seen = await channelNow(target, run.before.channel, world, run.signal);
      if ('is' in seen) return { is: 'unknown', because: seen.because };
      const { channel } = seen.channel;
      if (isAlive(seen.channel, run.before.thread)) return { is: 'yes', because: 'the thread was started' };
      const errno = run.before.thread === 'io' ? channel.lastIoErrno : channel.lastSqlErrno;
      return errno === 0
        ? { is: 'no', because: 'the thread does not run' }
        : { is: 'yes', because: `the thread was started and has ended since: ${channel.why}` };
    },
    compensate: 'none',
  };
}

function isAlive({ channel }: WatchedChannel, thread: Thread): boolean {
  return thread === 'io' ? channel.ioRunning !== 'no' : channel.sqlRunning;
}

/** Looked at anew right before the statement, the trap above all: an applier may have stopped since. */
async function probeStart(target: string, world: World, run: Run): Promise<Probe> {
  const { channel: name, thread, mustStop, incarnation } = run.before;
  const facts = await readFacts(target, world, run.signal);
  if (!facts.replica.known) return { is: 'unknown', because: facts.replica.why };
  const { replica } = facts;
  const watched = replica.value.channels.find((c) => c.name === name);
  if (watched === undefined) return { is: 'overtaken', because: `the server lists no channel ${name} any more` };
  const { channel, incarnation: id } = watched;
  if (isAlive(watched, thread)) {
    const isOld = thread === 'io' && mustStop && id.known && id.value === incarnation;
    return isOld
      ? { is: 'unknown', because: 'the receiver that had to be stopped is still there' }
      : { is: 'present', because: 'the thread is there' };
  }
  const view = sourceOf(channel, facts.sources);
  const primary = judgeSource(channel, facts.sources, view);
  const purged = judgePurged(channel, view, facts.gtids);
  const { flavour } = replica.value.server;
  const applied = relayApplied(channel, replica.observedAtMs);
  const trap = judgeTrap({ flavour, channel, thread, relayApplied: applied, primary, purged });
  if (trap.is !== 'allow') return { is: 'unknown', because: `${trap.code}: ${trap.because}` };
  return { is: 'absent', because: `the thread is stopped; ${trap.because}` };
}
