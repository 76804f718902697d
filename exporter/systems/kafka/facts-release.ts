// What a broker's list of requests and the bits of its permissions mean. Pure.

const listOffsets = 2;
const listGroups = 16;
const consumerGroupDescribe = 69;
const streamsGroupDescribe = 89;

/** The first release that knew the request in this version (the *Request.json of Kafka's sources), newest first. */
const since: readonly (readonly [apiKey: number, version: number, release: string])[] = [
  [streamsGroupDescribe, 0, '4.1'],
  [listOffsets, 10, '4.0'],
  [listOffsets, 9, '3.9'],
  [listGroups, 5, '3.8'],
  [consumerGroupDescribe, 0, '3.7'],
];

/** The oldest release that the broker can be of, by the newest version of each request that it takes. */
export function releaseOf(maxVersions: ReadonlyMap<number, number>): string {
  const found = since.find(([key, version]) => (maxVersions.get(key) ?? -1) >= version);
  return found === undefined ? 'Kafka 3.1 to 3.6' : `Kafka ${found[2]} or newer`;
}

/** AclOperation.DESCRIBE in the bits of clusterAuthorizedOperations; all are set where there is no authorizer. */
export function mayDescribe(operations: number): boolean {
  return (operations & (1 << 8)) !== 0;
}
