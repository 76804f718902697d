// Which version of each request is sent. Kafka 3.1 has the oldest of them (OffsetFetch 8 and FindCoordinator 4 ask for many
// groups at once), 4.1 still has them all.
import {
  consumerGroupDescribeV0,
  describeGroupsV5,
  findCoordinatorV4,
  findCoordinatorV5,
  findCoordinatorV6,
  listGroupsV4,
  listGroupsV5,
  listOffsetsV7,
  listOffsetsV8,
  metadataV12,
  offsetFetchV8,
  offsetFetchV9,
  type API,
} from '@platformatic/kafka';
import { TargetError } from '../../runtime/errors.ts';

/** The newest first. */
export const sent = {
  Metadata: [metadataV12],
  FindCoordinator: [findCoordinatorV6, findCoordinatorV5, findCoordinatorV4],
  ListGroups: [listGroupsV5, listGroupsV4],
  OffsetFetch: [offsetFetchV9, offsetFetchV8],
  DescribeGroups: [describeGroupsV5],
  ConsumerGroupDescribe: [consumerGroupDescribeV0],
  ListOffsets: [listOffsetsV8, listOffsetsV7],
} as const;

/** What a broker knows, by the name of the API. */
export type Versions = ReadonlyMap<string, { readonly minVersion: number; readonly maxVersion: number }>;

/** The newest version that both sides know. @throws TargetError `unsupported` */
export function newestOf<A extends unknown[], R>(
  versions: Versions,
  name: string,
  candidates: readonly { readonly api: API<A, R> }[],
): API<A, R> {
  const range = versions.get(name);
  const found = candidates.find(
    ({ api }) => range !== undefined && api.version >= range.minVersion && api.version <= range.maxVersion,
  );
  if (found !== undefined) return found.api;
  const known = range === undefined ? 'does not know it' : `knows versions ${range.minVersion} to ${range.maxVersion}`;
  throw new TargetError('unsupported', `${name}: the broker ${known}; Kafka 3.1 or newer is needed`);
}
