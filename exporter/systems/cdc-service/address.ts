import { z } from 'zod';
import { targetName } from '../../system.ts';

/** Where the service keeps how far it has applied. */
export interface OffsetsAddress {
  /** Target of kind mysql. */
  readonly mysql: string;
  readonly database: string;
  readonly table: string;
  /** A TIMESTAMP, a number (seconds or milliseconds since the epoch), or with `timeZone` a DATETIME. */
  readonly column: string;
  /** Of a DATETIME column: `SYSTEM` or an offset such as +02:00. */
  readonly timeZone: string | undefined;
}

export interface CdcServiceAddress {
  /** Its API: http://127.0.0.1:8080 */
  readonly http: string | undefined;
  /** Its Prometheus page: http://127.0.0.1:9090/metrics */
  readonly metrics: string | undefined;
  readonly offsets: OffsetsAddress | undefined;
  /** Target of kind mysql whose binary log it reads. */
  readonly source: string | undefined;
}

export interface DebeziumAddress {
  /** The page of jmx_exporter in the Kafka Connect worker (or in Debezium Server). */
  readonly metrics: string;
  /** The topic.prefix of the connector, when the page has several. */
  readonly server: string | undefined;
  /** Kafka Connect's API and the name of the connector there: it alone tells that a task has failed. */
  readonly connect: { readonly url: string; readonly connector: string } | undefined;
  readonly source: string | undefined;
}

const urlText = 'an http or https URL without user, password, query and fragment';

/** Without a slash at its end. */
export const url = z
  .string({ error: urlText })
  .refine((text) => {
    const parsed = URL.parse(text);
    if (parsed === null || !['http:', 'https:'].includes(parsed.protocol)) return false;
    return parsed.username === '' && parsed.password === '' && parsed.search === '' && parsed.hash === '';
  }, urlText)
  .transform((text) => text.replace(/\/+$/, ''));

const identifier = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\0`]+$/, 'a name without backticks');

const offsets = z
  .strictObject({
    mysql: targetName,
    database: identifier,
    table: identifier.default('cdc_offsets'),
    column: identifier.default('updated_at'),
    time_zone: z
      .string()
      .regex(/^(SYSTEM|[+-]\d\d:\d\d)$/, 'SYSTEM or an offset such as +02:00')
      .optional(),
  })
  .transform(({ time_zone: timeZone, ...rest }): OffsetsAddress => ({
    ...rest,
    timeZone,
  }));

export const cdcServiceAddress = z
  .strictObject({
    http: url.optional(),
    metrics: url.optional(),
    offsets: offsets.optional(),
    source: targetName.optional(),
  })
  .refine((a) => a.http !== undefined || a.metrics !== undefined, 'http, metrics or both')
  .transform(({ http, metrics, offsets: table, source }): CdcServiceAddress => ({
    http,
    metrics,
    offsets: table,
    source,
  }));

export const debeziumAddress = z
  .strictObject({
    metrics: url,
    server: z.string().min(1).max(255).optional(),
    connect: z.strictObject({ url, connector: z.string().min(1).max(255) }).optional(),
    source: targetName.optional(),
  })
  .transform(({ metrics, server, connect, source }): DebeziumAddress => ({ metrics, server, connect, source }));
