// Everything that a restart of a CDC service is decided on, read once. Nothing is thrown: what cannot be read is unknown.
import type { Call } from '../../../exporter/collector.ts';
import { mapKnown, unknown, type Known } from '../../../exporter/runtime/known.ts';
import type { Page } from '../../../exporter/runtime/exposition-text.ts';
import { cdcServiceAddress } from '../../../exporter/systems/cdc-service/address.ts';
import { openCdcService, type CdcServiceClient } from '../../../exporter/systems/cdc-service/client.ts';
import {
  judgeCdc,
  watchReader,
  type CdcReading,
  type CdcServiceHealth,
} from '../../../exporter/systems/cdc-service/facts-health.ts';
import { readOffsets } from '../../../exporter/systems/cdc-service/facts-offsets.ts';
import { isStale } from '../../../exporter/systems/cdc-service/facts-page.ts';
import { mysqlAddress } from '../../../exporter/systems/mysql/address.ts';
import { openMysql } from '../../../exporter/systems/mysql/client.ts';
import { readBinlogs } from '../../../exporter/systems/mysql/facts-binlogs.ts';
import type { ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import { attempt, type World } from '../../world.ts';
import { readKafka, readService, type BusOffsets } from '../service/facts.ts';
import type { CdcSample, Progress } from './movement.ts';

export interface CdcFacts {
  readonly service: Known<ServiceState>;
  /** Of the running incarnation, else of the last one that ended. */
  readonly log: Known<ServiceLog>;
  readonly reading: CdcReading;
  readonly health: CdcServiceHealth;
  /** Where the binary log of its source ends; undefined: its source is not in the inventory. */
  readonly source: Known<string> | undefined;
  /** By the service itself and its stored offsets. */
  readonly delivered: CdcSample['delivered'];
  readonly kafka: BusOffsets;
}

export async function readFacts(target: string, world: World, signal: AbortSignal): Promise<CdcFacts> {
  const [service, kafka, seen] = await Promise.all([
    readService(target, world, signal),
    readKafka(target, world, signal),
    readClient(target, world, { signal, clock: world.clock }),
  ]);
  return { service: service.state, log: service.log, kafka, ...seen };
}

async function readClient(target: string, world: World, call: Call) {
  const { clock } = world;
  await using client = openCdcService(world.opening(target, (address) => cdcServiceAddress.parse(address)));
  const { source: sourceName } = client;
  const [{ reading }, source, delivered] = await Promise.all([
    client.look(call),
    sourceName === undefined ? undefined : attempt(clock, () => readEnd(sourceName, world, call)),
    readDelivered(client, call),
  ]);
  const nowMs = clock.wallMs();
  const isGone = reading.process.known && reading.process.value === 'gone';
  const now = { monoMs: clock.monoMs(), wallMs: nowMs };
  const reader = isGone
    ? { mark: undefined, isMoving: false, aheadSeconds: 0 }
    : watchReader(
        reading,
        source ?? unknown('its source is not in the inventory'),
        world.readerMarks?.get(target),
        now,
      );
  if (reader.mark === undefined) world.readerMarks?.delete(target);
  else world.readerMarks?.set(target, reader.mark);
  return { reading, source, delivered, health: judgeCdc(reading, reader, nowMs) };
}

async function readEnd(source: string, world: World, call: Call): Promise<string> {
  await using mysql = await openMysql(
    world.opening(source, (address) => mysqlAddress.parse(address)),
    call,
  );
  const { current } = await readBinlogs(mysql, call);
  if (current === undefined) throw new Error('its source writes no binary log');
  return `${current.file}:${current.position}`;
}

/** Of the many numbers that it tells, those that only grow, and only with what has arrived where it goes. */
async function readDelivered(client: CdcServiceClient, call: Call): Promise<CdcSample['delivered']> {
  const [page, offsets] = await Promise.all([
    attempt(call.clock, () => client.page(call)),
    client.address.offsets === undefined ? undefined : attempt(call.clock, () => readStored(client, call)),
  ]);
  const written = offsets?.known === true && offsets.value.known ? offsets.value.value : undefined;
  const counters = page.known && page.value.state === 'ok' ? countersOf(page.value.value, call.clock.wallMs()) : {};
  return {
    ...Object.fromEntries(Object.entries(counters).map(([name, count]) => [name, { all: count }])),
    ...(written === undefined ? {} : { 'the time of its newest stored offset': { all: written } }),
  };
}

async function readStored(client: CdcServiceClient, call: Call): Promise<Known<number>> {
  const { offsets } = client.address;
  if (offsets === undefined) return unknown('no offsets are configured');
  const { ageSeconds } = await readOffsets(await client.offsetsDb(call), offsets, call);
  // In steps of two seconds: the way there makes it jitter, and what jitters over one step cannot grow twice.
  const nowSeconds = call.clock.wallMs() / 1000;
  return mapKnown(ageSeconds, (age) => Math.floor((nowSeconds - age) / 2) * 2);
}

/** What has left it, by the words that such counts are named with. Of rows or events alone it is not said which way. */
const delivery =
  /_(published|produced|delivered|sent|written|applied|committed|acked|acknowledged|inserted|upserted|replicated|synced)(_|$)/;
/** What it has read, its errors and what it has started over, its notes of how far it is, its own work: no row need pass. */
const noDelivery =
  /read|receiv|fetch|consum|captur|ingest|binlog|snapshot|pars|decod|buffer|queue|byte|offset|position|checkpoint|schema|ddl|histor|metadata|_states?_|error|fail|retr|restart|reconnect|drop|skip|filter|ignore|dead|reject|http|request|scrape|heartbeat|seconds|poll|loop|_gc_|_log_|_logs_/;

/** Summed per name: a single label set may come and go. */
export function countersOf(page: Page, nowMs: number): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const sample of page.samples) {
    const { name, value } = sample;
    const counts = /^cdc_.*_total$/.test(name) && delivery.test(name) && !noDelivery.test(name);
    if (!counts || isStale(sample, nowMs) || !Number.isFinite(value)) continue;
    sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

export function sampleOf({ kafka, delivered, source, reading, health }: CdcFacts): CdcSample {
  const topics = Object.entries(kafka);
  return {
    // Where it is known in which topics its changes arrive, only these show that they do.
    delivered: topics.length === 0 ? delivered : Object.fromEntries(topics.map(([bus, ends]) => arrivedIn(bus, ends))),
    sourceEnd: source?.known === true ? source.value : undefined,
    lagSeconds: health.lagSeconds.known ? health.lagSeconds.value : undefined,
    queued: reading.queueDepth.known ? reading.queueDepth.value : undefined,
    works: reading.works.known ? reading.works.value : undefined,
  };
}

function arrivedIn(bus: string, ends: BusOffsets[string]): readonly [string, Progress] {
  const partitions = ends.known
    ? Object.entries(ends.value).flatMap(([topic, of]) => Object.entries(of).map(([p, end]) => [`${topic}/${p}`, end]))
    : [];
  return [`the end of its topics in ${bus}`, Object.fromEntries(partitions) as Progress];
}
