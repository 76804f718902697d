// What `doctor` says beyond replication: whether what is kept on disk is kept, a Sentinel's view, a cluster's.
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import type { RedisClient } from './client.ts';
import { readClusterInfo } from './facts-cluster.ts';
import { redisInfoOf, type RedisInfo } from './facts-info.ts';
import { unlessRefused } from './facts-refused.ts';
import { readSentinel, sentinelMastersOf, type SentinelDetails, type SentinelMaster } from './facts-sentinel.ts';

export async function examineGroup(client: RedisClient, call: Call): Promise<readonly Finding[]> {
  const text = await unlessRefused(client.info(call));
  if (text === undefined) return []; // the command that is missing is told with the others
  const info = redisInfoOf(text);
  if (info.sentinel !== undefined) return await sentinelFindings(info.sentinel, client, call);
  const cluster = info.fields.get('cluster_enabled') === '1' ? [await clusterFinding(client, call)] : [];
  return [...savingFindings(info), ...cluster];
}

function savingFindings({ fields }: RedisInfo): readonly Finding[] {
  return (
    [
      ['rdb_last_bgsave_status', 'the last save to disk', 'see the log of the server: disk full, or no memory to fork'],
      ['aof_last_write_status', 'the last write to the append only file', 'free space on its disk'],
      ['aof_last_bgrewrite_status', 'the last rewrite of the append only file', 'see the log of the server'],
    ] as const
  ).flatMap(([field, what, fix]): readonly Finding[] => {
    const status = fields.get(field);
    if (status === undefined) return [];
    if (status === 'ok') return [{ check: `redis_${field}`, ok: true, text: `${what} succeeded, or there was none` }];
    return [{ check: `redis_${field}`, ok: false, text: `${what} failed (${status})`, fix }];
  });
}

async function clusterFinding(client: RedisClient, call: Call): Promise<Finding> {
  const check = 'redis_cluster_state';
  const cluster = await unlessRefused(readClusterInfo(client, call));
  if (cluster === undefined) return { check, ok: 'unknown', text: 'this user may not run CLUSTER INFO' };
  const slots = (field: string): number => cluster.get(`cluster_slots_${field}`) ?? 0;
  const lost = 16_384 - slots('assigned');
  const text = `${String(slots('ok'))} of 16384 slots are well, ${String(slots('fail') + slots('pfail'))} are of nodes that fail, ${String(lost)} of no node`;
  if (cluster.get('cluster_state') === 1) return { check, ok: true, text };
  return {
    check,
    ok: false,
    text: `the cluster is down as this node sees it: ${text}`,
    fix: 'redis-cli --cluster check',
  };
}

async function sentinelFindings(
  section: NonNullable<RedisInfo['sentinel']>,
  client: RedisClient,
  call: Call,
): Promise<readonly Finding[]> {
  const details = await unlessRefused(readSentinel(client, call));
  const tilt: readonly Finding[] =
    section.get('sentinel_tilt') === '1'
      ? [{ check: 'redis_sentinel_tilt', ok: false, text: 'it does not trust its clock, and fails nothing over', fix: 'keep the clock and the load of this machine steady' }] // prettier-ignore
      : [];
  const masters = sentinelMastersOf(section).flatMap((master) => [
    statusOf(master),
    quorumOf(
      master,
      details?.find(({ name }) => name === master.name),
    ),
  ]);
  return [...tilt, ...masters];
}

function statusOf({ name, address, status, replicas, sentinels }: SentinelMaster): Finding {
  const check = 'redis_sentinel_master_status';
  const text = `${name} at ${address}: ${status}, replicas: ${String(replicas)}, Sentinels: ${String(sentinels)}`;
  if (status === 'ok') return { check, ok: true, text };
  return { check, ok: false, text, fix: 'start it, or see why this Sentinel does not reach it' };
}

function quorumOf({ name }: SentinelMaster, details: SentinelDetails | undefined): Finding {
  const check = 'redis_sentinel_master_ckquorum_status';
  const quorum = details?.quorum;
  if (quorum === undefined) {
    return { check, ok: 'unknown', text: `${name}: this user may not run SENTINEL MASTERS or CKQUORUM` };
  }
  if (quorum.isReached) return { check, ok: true, text: `${name}: ${quorum.message}` };
  return {
    check,
    ok: false,
    text: `${name}: ${quorum.message}`,
    fix: 'start the other Sentinels, or lower the quorum',
  };
}
