// Real brokers' answers to ApiVersions, recorded from 3.1.2, 3.9.1 and 4.1.1; the sweep was run against each of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classOf, messageOf } from '../../../exporter/runtime/errors.ts';
import { newestOf, sent, type Versions } from '../../../exporter/systems/kafka/client-apis.ts';

type Table = Readonly<Record<string, readonly [min: number, max: number]>>;

const releases: Readonly<Record<string, Table>> = {
  '3.1.2': { ListOffsets: [0, 7], Metadata: [0, 12], OffsetFetch: [0, 8], FindCoordinator: [0, 4], DescribeGroups: [0, 5], ListGroups: [0, 4] },
  '3.9.1': { ListOffsets: [0, 9], Metadata: [0, 12], OffsetFetch: [0, 9], FindCoordinator: [0, 6], DescribeGroups: [0, 5], ListGroups: [0, 5], ConsumerGroupDescribe: [0, 0] },
  '4.1.1': { ListOffsets: [1, 10], Metadata: [0, 13], OffsetFetch: [1, 9], FindCoordinator: [0, 6], DescribeGroups: [0, 6], ListGroups: [0, 5], ConsumerGroupDescribe: [0, 1] },
}; // prettier-ignore

function versionsOf(table: Table): Versions {
  return new Map(Object.entries(table).map(([name, [minVersion, maxVersion]]) => [name, { minVersion, maxVersion }]));
}

function chosen(table: Table): Readonly<Record<string, number>> {
  const versions = versionsOf(table);
  const of = (name: keyof typeof sent): number => {
    const candidates: readonly { readonly api: { readonly version: number } }[] = sent[name];
    return newestOf(versions, name, candidates as Parameters<typeof newestOf>[2]).version;
  };
  return Object.fromEntries((Object.keys(sent) as (keyof typeof sent)[]).filter((name) => name in table).map((name) => [name, of(name)])); // prettier-ignore
}

const newest = { Metadata: 12, FindCoordinator: 6, ListGroups: 5, OffsetFetch: 9, DescribeGroups: 5, ConsumerGroupDescribe: 0, ListOffsets: 8 }; // prettier-ignore

for (const [release, expected] of [
  ['3.1.2', { Metadata: 12, FindCoordinator: 4, ListGroups: 4, OffsetFetch: 8, DescribeGroups: 5, ListOffsets: 7 }],
  ['3.9.1', newest],
  ['4.1.1', newest],
] as const) {
  test(`Kafka ${release}: the newest version that both sides know`, () => {
    assert.deepEqual(chosen(releases[release] ?? {}), expected);
  });
}

test('a broker that has not the batched requests, or not the request at all, is told as such', () => {
  // Kafka 3.0 (its OffsetFetchRequest.json and FindCoordinatorRequest.json): one group at a time, and no KIP-848
  const old = versionsOf({ OffsetFetch: [0, 7], FindCoordinator: [0, 3] });
  for (const [ask, text] of [
    [() => newestOf(old, 'OffsetFetch', sent.OffsetFetch), 'OffsetFetch: the broker knows versions 0 to 7; Kafka 3.1 or newer is needed'],
    [() => newestOf(old, 'ConsumerGroupDescribe', sent.ConsumerGroupDescribe), 'ConsumerGroupDescribe: the broker does not know it; Kafka 3.1 or newer is needed'],
  ] as const) {
    assert.throws(ask, (error: unknown) => classOf(error) === 'unsupported' && messageOf(error) === text);
  }
}); // prettier-ignore
