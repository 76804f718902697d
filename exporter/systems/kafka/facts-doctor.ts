// What `doctor` says of a Kafka cluster: releases, brokers that cannot be reached, what this user may not see, and groups
// and partitions that no number stands for.
import { z } from 'zod';
import type { Call } from '../../collector.ts';
import type { Finding } from '../../findings.ts';
import type { KafkaAbout, KafkaClient } from './facts-cluster.ts';
import { LagMemory, readKafkaLag } from './facts-lag.ts';
import { wholeSweep, type GroupSweep, type KafkaSweep } from './facts-model.ts';
import { idlePatterns, selectionFields, type Names, type Selection } from './facts-selection.ts';

const options = z.object(selectionFields);

/** @throws TargetError when the cluster stops answering */
export async function examineKafka(client: KafkaClient, call: Call, written: unknown): Promise<readonly Finding[]> {
  const selection: Selection = options.parse(written === undefined || written === false ? {} : written);
  const about = await client.about(call);
  const listed = await client.groups(call);
  // Everything, also what the options leave out: what is wrong with the cluster is told all the same
  const sweep = await readKafkaLag(client, call, new LagMemory(), { ...wholeSweep, groups: selection.groups });
  const groups = [...sweep.groups.values()];
  return [
    ...releases(about),
    brokers(sweep, listed.failed),
    permission(about),
    ...seen(about, sweep, listed.groups.length),
    ...unreadable(about, groups),
    ...partitions(sweep),
    ...beyondEnd(about, groups),
    ...idle('topics', selection.topics, [...sweep.cluster.topics.keys()]),
    ...idle('groups', selection.groups, listed.groups.map((g) => g.id)),
  ];
} // prettier-ignore

function releases({ releases: found }: KafkaAbout): readonly Finding[] {
  const check = 'kafka_version';
  return [...found].map(([id, release]) =>
    release.known
      ? { check, ok: true, text: `broker ${id} speaks the protocol of ${release.value}` }
      : { check, ok: 'unknown', text: `broker ${id}: ${release.why}` },
  );
}

function brokers({ cluster }: KafkaSweep, failed: ReadonlyMap<number, string>): Finding {
  const check = 'kafka_brokers';
  const [first] = failed;
  if (first === undefined) return { check, ok: true, text: `all ${cluster.brokers.length} brokers answer` };
  const { host, port } = cluster.brokers.find(({ id }) => id === first[0]) ?? { host: '?', port: '?' };
  return {
    check,
    ok: false,
    text: `${failed.size} of ${cluster.brokers.length} brokers do not answer: ${first[0]} at ${host}:${port}: ${first[1]}`,
    fix: 'this address is what the broker gives as its own (advertised.listeners): it must be reachable from here',
  };
}

function acl({ bootstrap, user }: KafkaAbout, resource: string): string {
  return `kafka-acls.sh --bootstrap-server ${bootstrap} --add --allow-principal User:${user ?? 'NAME'} --operation Describe ${resource}`;
}

/** Kafka leaves out of its lists what a user may not Describe, and gives no error. */
function permission(about: KafkaAbout): Finding {
  const check = 'kafka_acl_cluster';
  const { mayDescribeCluster: may } = about;
  if (!may.known) return { check, ok: 'unknown', text: `whether the cluster may be described: ${may.why}` };
  if (may.value) return { check, ok: true, text: 'the cluster may be described: no group is left out of the list' };
  return {
    check,
    ok: false,
    text: 'the cluster may not be described: Kafka leaves out the groups that this user may not describe, without an error',
    fix: acl(about, '--cluster'),
  };
}

function seen(about: KafkaAbout, { cluster }: KafkaSweep, groups: number): readonly Finding[] {
  const none = (check: string, what: string, resource: string): Finding => ({
    check,
    ok: 'unknown',
    text: `no ${what} is seen: there is none, or this user may not describe any`,
    fix: acl(about, resource),
  });
  return [
    ...(cluster.topics.size === 0 ? [none('kafka_acl_topics', 'topic', "--topic '*'")] : []),
    ...(groups === 0 ? [none('kafka_acl_groups', 'consumer group', "--group '*'")] : []),
  ];
}

function unreadable(about: KafkaAbout, groups: readonly GroupSweep[]): readonly Finding[] {
  const reasons = new Map<string, string[]>();
  for (const { group, why, topics } of groups) {
    const reason = topics.known ? why : topics.why;
    if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), group]);
  }
  if (groups.length > 0 && reasons.size === 0) {
    return [{ check: 'kafka_groups', ok: true, text: `all ${groups.length} groups are described, their commits read` }];
  }
  return [...reasons].map(([reason, names]) => ({
    check: 'kafka_groups',
    ok: reason.includes('AUTHORIZATION') ? false : 'unknown',
    text: `${names.length} of ${groups.length} groups (${some(names)}): ${reason}`,
    ...(reason.includes('AUTHORIZATION') ? { fix: acl(about, "--group '*'") } : {}),
  }));
}

function partitions({ cluster, partial }: KafkaSweep): readonly Finding[] {
  const all = [...cluster.topics.values()].flatMap((t) => t.partitions);
  const named = (found: typeof all): string => some(found.map((p) => `${p.topic}/${p.partition}`));
  const offline = all.filter((p) => p.leader < 0);
  const thin = all.filter((p) => p.inSync.length < p.replicas.length);
  const findings: Finding[] = [
    offline.length === 0
      ? { check: 'kafka_offline_partitions', ok: true, text: `all ${all.length} partitions have a leader` }
      : {
          check: 'kafka_offline_partitions',
          ok: false,
          text: `${offline.length} of ${all.length} partitions have no leader (${named(offline)})`,
          fix: 'bring back the brokers that hold their replicas',
        },
  ];
  if (thin.length > 0) {
    const text = `${thin.length} of ${all.length} partitions have replicas out of sync (${named(thin)})`;
    findings.push({ check: 'kafka_under_replicated_partitions', ok: false, text });
  }
  for (const part of ['metadata', 'offsets'] as const) {
    const why = partial.get(part);
    if (why !== undefined) findings.push({ check: `kafka_sweep_complete`, ok: 'unknown', text: `${part}: ${why}` });
  }
  return findings;
}

function beyondEnd({ bootstrap }: KafkaAbout, groups: readonly GroupSweep[]): readonly Finding[] {
  return groups.flatMap(({ group, topics }) => {
    const found = topics.known ? [...topics.value.values()] : [];
    return found.flatMap(({ topic, partitions: of }): Finding[] => {
      const beyond = [...of].filter(([, p]) => p.truncated).map(([number]) => String(number));
      if (beyond.length === 0) return [];
      return [
        {
          check: 'kafka_commits_beyond_end',
          ok: false,
          text: `${group} has committed beyond the end of ${topic} (partition ${some(beyond)}): it was truncated or made anew`,
          fix: `stop the group, then kafka-consumer-groups.sh --bootstrap-server ${bootstrap} --group ${group} --topic ${topic} --reset-offsets --to-earliest --execute (or --to-latest, which skips what is there)`,
        },
      ];
    });
  });
}

function idle(option: 'topics' | 'groups', names: Names, found: readonly string[]): readonly Finding[] {
  return idlePatterns(names, found).map((pattern) => ({
    check: `kafka_lag_${option}`,
    ok: 'unknown',
    text: `the pattern ${pattern} matches none of the ${found.length} ${option} that are seen`,
    fix: 'a pattern must match a whole name (PREFIX.* for a prefix); mend it, or leave it out',
  }));
}

function some(names: readonly string[]): string {
  const shown = 5;
  return names.length <= shown ? names.join(', ') : `${names.slice(0, shown).join(', ')} and ${names.length - shown} more`;
} // prettier-ignore
