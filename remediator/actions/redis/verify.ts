// That the stream flows through the link, now and for a while.
import { pause } from '../../../exporter/runtime/deadline.ts';
import { messageOf } from '../../../exporter/runtime/errors.ts';
import { readRedisReplication, type RedisReplication } from '../../../exporter/systems/redis/facts-replication.ts';
import type { Checked } from '../../action.ts';
import { sameReplica, type Before } from './before.ts';
import { withRedis, type RedisWorld } from './connection.ts';
import { judgeLink, type LinkSample } from './movement.ts';
import type { Pair } from './verdicts.ts';

const sampleMs = 500;

interface Asked {
  readonly before: Before;
  readonly signal: AbortSignal;
}

/** @throws TargetError */
export async function readReplica(target: string, world: RedisWorld, signal: AbortSignal): Promise<RedisReplication> {
  return await withRedis(world, target, signal, (client, call) => readRedisReplication(client, call));
}

/** @throws TargetError */
async function readBoth(target: string, world: RedisWorld, { before, signal }: Asked): Promise<Pair> {
  const [replica, primary] = await Promise.all([
    readReplica(target, world, signal),
    readReplica(before.primaryTarget, world, signal),
  ]);
  return { replica, primary };
}

function sampleOf({ replica, primary }: Pair): LinkSample {
  const { link } = replica;
  return {
    up: link?.up === true,
    syncing: link?.syncInProgress === true || replica.server.loading,
    lastIoSecondsAgo: link?.lastIoSecondsAgo,
    sameStream: replica.replId === primary.replId,
    primaryRunId: primary.server.runId,
    replicaOffset: link?.offset ?? 0,
    primaryOffset: primary.offset,
  };
}

/** Looks until the stream is seen to flow, the time is over, or something says that it will not. */
export async function watchLink(
  target: string,
  world: RedisWorld,
  run: Asked,
  limitMs: number,
  judge: (pair: Pair, looks: number) => Checked,
): Promise<Checked> {
  const untilMono = world.clock.monoMs() + limitMs;
  const samples: LinkSample[] = [];
  let why: string;
  for (;;) {
    try {
      const pair = await readBoth(target, world, run);
      const changed = sameReplica(run.before, pair.replica);
      if (changed !== undefined) return { is: 'no', because: changed };
      samples.push(sampleOf(pair));
      const movement = judgeLink(samples, run.before);
      if (movement.is === 'failed') {
        const { because } = movement;
        return movement.never === true ? { is: 'no', because, never: because } : { is: 'no', because };
      }
      if (movement.is === 'moves') return judge(pair, samples.length);
      why = movement.because;
    } catch (error) {
      why = messageOf(error);
    }
    if (world.clock.monoMs() >= untilMono) {
      return {
        is: 'no',
        because: `the stream was not seen to flow within ${String(Math.round(limitMs / 1000))} s: ${why}`,
      };
    }
    await pause(sampleMs, run.signal);
  }
}

/** One look during the soak. */
export async function soakLink(target: string, silentSeconds: number, world: RedisWorld, run: Asked): Promise<Checked> {
  let pair: Pair;
  try {
    pair = await readBoth(target, world, run);
  } catch (error) {
    return { is: 'unknown', because: messageOf(error) };
  }
  const changed = sameReplica(run.before, pair.replica);
  if (changed !== undefined) return { is: 'no', because: changed };
  const { up, sameStream, primaryRunId, lastIoSecondsAgo: ago } = sampleOf(pair);
  if (primaryRunId !== run.before.primaryRunId) return { is: 'no', because: 'its primary was started anew' };
  if (!up) return { is: 'no', because: 'the link is down' };
  if (!sameStream) return { is: 'no', because: 'both have different replication ids' };
  if (ago === undefined) return { is: 'unknown', because: 'INFO says nothing of master_last_io_seconds_ago' };
  if (ago >= silentSeconds) return { is: 'no', because: `the link has been silent for ${String(ago)} s` };
  return { is: 'yes', because: `the link is up and was heard ${String(ago)} s ago` };
}
