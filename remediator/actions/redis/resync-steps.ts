// The replica is made to forget its place in the stream, so that its primary copies everything to it anew. REPLICAOF NO ONE
// and REPLICAOF back stand in one MULTI: nobody can write to it in the moment in which it is a primary. It goes on serving
// what it had until the copy has arrived. Never FLUSHALL.
import { messageOf } from '../../../exporter/runtime/errors.ts';
import type { Applied, Checked, Probe, Step, StepRun, StepSession } from '../../action.ts';
import type { Json } from '../../model.ts';
import { looking } from '../looking.ts';
import { changedSince, sameReplica, type Before } from './before.ts';
import { failureOf, openingOf, type RedisWorld } from './connection.ts';
import { replicaofCalls } from './facts.ts';
import { lookAtData } from './resync-look.ts';
import type { ResyncParams } from './resync-verdicts.ts';
import { openSession, ReplicaSession } from './session.ts';
import { readReplica, watchLink } from './verify.ts';
import { plainHost } from './verdicts.ts';

export interface ResyncStepParams extends ResyncParams {
  readonly copySeconds: number;
}

type Run = StepRun<Before>;

const callMs = 5_000;
/** A replica that throws away what it had may not answer for a while; people are not left to wait for the whole copy. */
const longestSilenceMs = 120_000;
/** Keys of both sides that may differ after the copy: they are counted at different moments. */
const plausible = 0.98;

export function resyncSteps(target: string, params: ResyncStepParams, world: RedisWorld): readonly Step<Before>[] {
  return [forget(target, params, world), pointBack(target, params, world), verifyCopy(target, params, world)];
}

/** What both mutations have in common. */
function changing(target: string, { copySeconds }: ResyncStepParams, world: RedisWorld) {
  return {
    // a late call finds its connection ended by whoever has taken over
    fencing: 'session',
    deadlineMs: callMs,
    verifyMs: 15_000,
    answeredMs: Math.min(longestSilenceMs, copySeconds * 1000),
    settleMs: 1_000,
    maxAttempts: 1,
    lateCopy: 'harmful',
    session: (run: Run) => openSession(target, run.runId, world, run.signal),
    compensate: 'none',
  } as const;
}

function forget(target: string, params: ResyncStepParams, world: RedisWorld): Step<Before> {
  return {
    ...changing(target, params, world),
    name: 'full_copy',
    help: 'In one transaction: ends the replication and begins it anew, from the same primary and from nothing.',
    // where the second half was refused it is a primary that takes writes: no pause keeps it so
    safePointAfter: false,
    probe: (run) => probeForgotten(target, world, run),
    apply: (run, session) => applyForget(target, params, world, run, session),
    verify: async (run): Promise<Checked> => {
      const seen = await probeForgotten(target, world, run);
      // cut off from its primary: the next step points it back
      if (seen.is === 'partial' && isHalf(run.memo['full_copy'])) return { is: 'yes', because: seen.because };
      if (seen.is === 'present') return { is: 'yes', because: seen.because };
      return { is: seen.is === 'absent' ? 'no' : 'unknown', because: seen.because };
    },
  };
}

/** By the server's own count of REPLICAOF: whatever has become of the link since, it says whether it was run. */
async function probeForgotten(target: string, world: RedisWorld, { before, signal }: Run): Promise<Probe> {
  try {
    const now = await readReplica(target, world, signal);
    if (now.server.runId === before.replicaRunId && now.role === 'primary') {
      return now.replId2 === before.replId
        ? { is: 'partial', because: 'it is a primary now: it takes writes, and nothing feeds it' }
        : { is: 'overtaken', because: 'it is a primary now' };
    }
    const changed = sameReplica(before, now);
    if (changed !== undefined) return { is: 'overtaken', because: changed };
    const calls = replicaofCalls(now) - before.replicaofCalls;
    if (calls < 0) return { is: 'unknown', because: 'its counts of commands were reset meanwhile' };
    if (calls === 0) return { is: 'absent', because: 'REPLICAOF was not run since' };
    if (calls === 1) return { is: 'overtaken', because: 'somebody has run REPLICAOF' };
    return { is: 'present', because: 'it was cut off and pointed back' };
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  }
}

async function applyForget(
  target: string,
  params: ResyncParams,
  world: RedisWorld,
  { before, signal }: Run,
  session: StepSession | undefined,
): Promise<Applied> {
  const { host, port } = before;
  const user = openingOf(world, target).auth?.user;
  if (!(session instanceof ReplicaSession))
    return { is: 'refused', code: 'no_session', because: 'there is no session' };
  if (session.serverRunId !== before.replicaRunId) {
    return { is: 'refused', code: 'other_incarnation', because: 'the replica was started anew' };
  }
  if (!plainHost(host) || !/^\d{1,5}$/.test(port)) {
    return {
      is: 'refused',
      code: 'no_address',
      because: 'the address of its primary is none that could be given back',
    };
  }
  // All conditions once more: what follows would make a replica of one that was promoted, or copy from an empty primary
  const changed = changedSince(before, await lookAtData(target, params, world, signal));
  if (changed !== undefined) return { is: 'refused', code: 'changed_since', because: changed };
  const { client } = session;
  const call = { signal, clock: world.clock };
  // All at once and unanswered: until EXEC arrives nothing is done, and what does not arrive whole is thrown away
  const [multi, no, back, exec] = await Promise.allSettled([
    client.send(call, 'MULTI'),
    client.send(call, 'REPLICAOF', 'NO', 'ONE'),
    client.send(call, 'REPLICAOF', host, port),
    client.send(call, 'EXEC'),
  ]);
  if (exec.status === 'rejected') {
    // EXECABORT: a command was refused when it was queued; that one says why
    const queued = [multi, no, back].find((one) => one.status === 'rejected');
    const outcome = failureOf(exec.reason, 'exec', user);
    return outcome.is === 'refused' && queued !== undefined ? failureOf(queued.reason, 'replicaof', user) : outcome;
  }
  return outcomeOf(exec.value);
}

/** Of `[OK, OK]`; either may be an error. */
export function outcomeOf(reply: unknown): Applied {
  if (!Array.isArray(reply) || reply.length !== 2) {
    return { is: 'unknown', because: `EXEC has answered something else: ${JSON.stringify(reply)}` };
  }
  const [no, back] = reply as readonly unknown[];
  if (no instanceof Error) return { is: 'refused', code: 'refused', because: messageOf(no) };
  if (back instanceof Error) {
    return { is: 'done', because: `cut off, and not pointed back: ${messageOf(back)}`, data: { half: true } };
  }
  return { is: 'done', because: `cut off and pointed back: ${String(back)}`, data: { half: false } };
}

function isHalf(memo: Json | undefined): boolean {
  return typeof memo === 'object' && memo !== null && !Array.isArray(memo) && (memo as { half?: Json }).half === true;
}

/** Only after our own transaction was carried out by half: a primary that somebody has made is left alone. */
function pointBack(target: string, params: ResyncStepParams, world: RedisWorld): Step<Before> {
  return {
    ...changing(target, params, world),
    name: 'point_back',
    help: 'Where the second half was refused: points it back at its primary at once, for it takes writes until then.',
    safePointAfter: true,
    lateCopy: 'harmless',
    probe: async (run): Promise<Probe> => {
      if (!isHalf(run.memo['full_copy']))
        return { is: 'present', because: 'it was pointed back in the same transaction' };
      const seen = await probeForgotten(target, world, run);
      return seen.is === 'partial' ? { is: 'absent', because: seen.because } : seen;
    },
    apply: async ({ before, signal }, session): Promise<Applied> => {
      if (!(session instanceof ReplicaSession)) return { is: 'refused', because: 'there is no session' };
      if (session.serverRunId !== before.replicaRunId)
        return { is: 'refused', because: 'the replica was started anew' };
      const user = openingOf(world, target).auth?.user;
      try {
        const call = { signal, clock: world.clock };
        const reply = await session.client.send(call, 'REPLICAOF', before.host, before.port);
        return { is: 'done', because: String(reply) };
      } catch (error) {
        return failureOf(error, 'replicaof', user);
      }
    },
    verify: async (run): Promise<Checked> => {
      const seen = await probeForgotten(target, world, run);
      if (seen.is === 'present') return { is: 'yes', because: seen.because };
      if (seen.is === 'unknown') return { is: 'unknown', because: seen.because };
      return { is: 'no', because: seen.because, never: seen.because };
    },
  };
}

function verifyCopy(target: string, { copySeconds }: ResyncStepParams, world: RedisWorld): Step<Before> {
  return {
    ...looking,
    name: 'verify_copy',
    help: 'The copy has arrived, the stream flows behind it, and both have about the same number of keys.',
    verifyMs: (copySeconds + 10) * 1000,
    safePointAfter: true,
    verify: (run) =>
      watchLink(target, world, run, copySeconds * 1000, ({ replica, primary }, looks) => {
        const full = primary.syncs.full - run.before.syncs.full;
        const [own, its] = [replica.server.keys, primary.server.keys];
        if (!own.known || !its.known) return { is: 'unknown', because: 'INFO has no keyspace section' };
        const data = { looks, fullCopies: full, replicaKeys: own.value, primaryKeys: its.value };
        if (full < 1) return { is: 'no', because: 'its primary counts no full copy since' };
        if (Math.min(own.value, its.value) < Math.max(own.value, its.value) * plausible - 10) {
          const because = `after the copy it has ${String(own.value)} keys, its primary ${String(its.value)}`;
          return { is: 'no', because, never: because };
        }
        if (full > 1) run.note(`its primary counts ${String(full)} full copies since`, data);
        const more = full === 1 ? '' : `, ${String(full)} full copies since (of all its replicas)`;
        return {
          is: 'yes',
          because: `copied anew, and the stream flows, seen over ${String(looks)} looks${more}`,
          data,
        };
      }),
    compensate: 'none',
  };
}
