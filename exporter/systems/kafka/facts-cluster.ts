// What can be learnt from a Kafka cluster, and the interface through which it is asked.
import type { Call } from '../../collector.ts';
import type { Known } from '../../runtime/known.ts';
import type { TargetClient } from '../../system.ts';

export interface Cluster {
  readonly id: string | undefined;
  readonly brokers: readonly Broker[];
  /** With Kafka's own topics (`__consumer_offsets`…). */
  readonly topics: ReadonlyMap<string, Topic>;
  /** Topics that the brokers know and could not tell about, each with the reason; without one, nothing is missing. */
  readonly failed?: ReadonlyMap<string, string>;
}

export interface Broker {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface Topic {
  readonly name: string;
  /** Another one when a topic of this name is made anew. */
  readonly id?: string;
  /** One of Kafka's own. */
  readonly internal?: boolean;
  readonly partitions: readonly TopicPartition[];
}

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
  /** -1: none is elected. */
  readonly leader: number;
  readonly leaderEpoch: number;
  /** The first one is the preferred leader. */
  readonly replicas: readonly number[];
  readonly inSync: readonly number[];
}

export interface ListedGroup {
  readonly id: string;
  /** 'classic', 'consumer' (KIP-848) or 'streams' (KIP-1071). */
  readonly type: string;
  /** consumer, connect, …; empty for a group that only keeps commits. */
  readonly protocolType: string;
  /** As the broker names it: Stable, Empty, PreparingRebalance… */
  readonly state: string;
}

export interface GroupList {
  readonly groups: readonly ListedGroup[];
  /** Brokers that did not answer: groups that they coordinate are missing. */
  readonly failed: ReadonlyMap<number, string>;
}

export interface GroupDescription {
  readonly state: string;
  /** Undefined for a group of a type that is only listed (streams). */
  readonly members: number | undefined;
  /** Topics that members have been given partitions of. */
  readonly assigned: readonly string[];
}

/** topic -> partition -> next offset to read; 'none' where nothing is committed. */
export type Commits = ReadonlyMap<string, ReadonlyMap<number, Known<number | 'none'>>>;

/** topic -> partition -> offset */
export type Offsets = ReadonlyMap<string, ReadonlyMap<number, Known<number>>>;

/** For people: what a sweep does not ask. */
export interface KafkaAbout {
  /** Of the address: where a tool of Kafka would begin. */
  readonly bootstrap: string;
  /** As which the brokers were asked; undefined without one, or with a certificate. */
  readonly user: string | undefined;
  /** By broker: the oldest release that it can be of. */
  readonly releases: ReadonlyMap<number, Known<string>>;
  readonly mayDescribeCluster: Known<boolean>;
}

/** Every call is batched: one request per broker, whatever the number of groups and partitions. */
export interface KafkaClient extends TargetClient {
  readonly cluster: (call: Call) => Promise<Cluster>;
  readonly groups: (call: Call) => Promise<GroupList>;
  readonly commits: (call: Call, groups: readonly string[]) => Promise<ReadonlyMap<string, Known<Commits>>>;
  readonly describe: (
    call: Call,
    groups: readonly ListedGroup[],
  ) => Promise<ReadonlyMap<string, Known<GroupDescription>>>;
  readonly offsets: (call: Call, partitions: readonly TopicPartition[], at: OffsetAt) => Promise<Offsets>;
  readonly about: (call: Call) => Promise<KafkaAbout>;
}

/**
 * 'stable' is the last stable offset: the end for consumers that read committed transactions only. Else a time in ms since
 * the epoch, the same or one for each partition: the first record of that time or later; the end when there is none.
 */
export type OffsetAt = 'begin' | 'end' | 'stable' | number | ((partition: TopicPartition) => number);
