import { z } from 'zod';
import { targetName } from '../../system.ts';
import {
  hsperfdataFieldOf,
  maxwellHttpField,
  type HsperfdataAddress,
  type MaxwellHttpAddress,
} from '../jvm/address.ts';

export interface MaxwellAddress {
  /** Target of kind mysql that holds Maxwell's schema (its `host`). */
  readonly mysql: string;
  /** Target of kind mysql whose binary log it reads (its `replication_host`); the same one unless told. */
  readonly source: string;
  readonly schema: string;
  readonly clientId: string;
  readonly http: MaxwellHttpAddress | undefined;
  readonly hsperfdata: HsperfdataAddress | undefined;
}

export const maxwellAddress = z
  .strictObject({
    mysql: targetName,
    source: targetName.optional(),
    schema_database: z
      .string()
      .min(1)
      .max(64)
      .regex(/^[^\0`]+$/, 'a database name without backticks')
      .default('maxwell'),
    client_id: z.string().min(1).max(255).default('maxwell'),
    http: maxwellHttpField.optional(),
    hsperfdata: hsperfdataFieldOf('com.zendesk.maxwell.Maxwell').optional(),
  })
  .transform((a): MaxwellAddress => ({
    mysql: a.mysql,
    source: a.source ?? a.mysql,
    schema: a.schema_database,
    clientId: a.client_id,
    http: a.http,
    hsperfdata: a.hsperfdata,
  }));
