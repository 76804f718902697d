// What one sweep of a cluster finds, and what is kept from sweep to sweep.
import type { Known } from '../../runtime/known.ts';
import type { Cluster, ListedGroup } from './facts-cluster.ts';
import type { TopicCommits } from './facts-commit.ts';
import { EndHistories } from './facts-history.ts';
import type { LagTable } from './facts-lag-table.ts';
import type { PartitionLag, PartitionOffsets } from './facts-partition.ts';
import { everything, type Selection } from './facts-selection.ts';
import { OpenTransactions, type StableOffsets } from './facts-stable.ts';
import type { GroupState, SweepPart } from './state.ts';

export interface KafkaLag {
  readonly cluster: Cluster;
  /** topic -> partition */
  readonly offsets: ReadonlyMap<string, ReadonlyMap<number, PartitionOffsets>>;
  readonly groups: ReadonlyMap<string, GroupLag>;
}

export interface GroupLag {
  readonly group: string;
  readonly state: GroupState;
  /** Says why when `state` is unknown. */
  readonly why: string | undefined;
  readonly members: Known<number>;
  /** False for a group whose consumers choose their partitions themselves: it looks empty although they work. */
  readonly managed: boolean;
  /**
   * Every topic of which the group has committed something, or a member of it has been given a partition.
   * Unknown when the commits could not be read.
   */
  readonly topics: Known<ReadonlyMap<string, GroupTopicLag>>;
}

export interface GroupTopicLag {
  readonly topic: string;
  /** Every partition of the topic, by number. */
  readonly partitions: ReadonlyMap<number, PartitionLag>;
}

/** All that one sweep finds. Topics and groups that are not selected are in `cluster` alone. */
export interface KafkaSweep extends KafkaLag {
  readonly groups: ReadonlyMap<string, GroupSweep>;
  /** Empty unless asked for. */
  readonly stable: StableOffsets;
  /** Why a part of the answers is missing; a part that is not here is whole. */
  readonly partial: ReadonlyMap<SweepPart, string>;
}

export interface GroupSweep extends GroupLag {
  /** classic, consumer or streams */
  readonly type: string;
  /** consumer, connect, …; empty for a group that only keeps commits. */
  readonly protocolType: string;
  readonly topics: Known<ReadonlyMap<string, GroupTopicSweep>>;
}

export interface GroupTopicSweep extends GroupTopicLag {
  readonly partitions: LagTable;
  /** Since a commit of the group in this topic was last seen to move. */
  readonly commitAgeSeconds: Known<number>;
}

export interface SweepOptions extends Selection {
  readonly lastStableOffset: boolean;
}

export const wholeSweep: SweepOptions = { ...everything, lastStableOffset: true };

/** What is kept from sweep to sweep: without it there are no ages. One per cluster. */
export class LagMemory {
  readonly ends = new EndHistories();
  /** group -> topic */
  readonly commits = new Map<string, Map<string, TopicCommits>>();
  readonly groups = new Map<string, { readonly group: ListedGroup; readonly seenMs: number }>();
  readonly transactions = new OpenTransactions();
}
