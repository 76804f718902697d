import { z } from 'zod';
import { absolutePath } from '../../fields.ts';
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
  /** What it writes to its standard error, or its log file. */
  readonly logFile: string | undefined;
  /** Where the exporter keeps how far it has read, so that no line is missed or counted twice over its own restarts. */
  readonly logStateFile: string | undefined;
  /** The record of the process supervisor that is its parent: `witness.jsonl` in its state folder. */
  readonly witnessFile: string | undefined;
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
    log_file: absolutePath.optional(),
    log_state_file: absolutePath.optional(),
    witness_file: absolutePath.optional(),
  })
  .refine((a) => a.log_state_file === undefined || a.log_file !== undefined, {
    path: ['log_state_file'],
    message: 'no log_state_file, or beside it the log_file that it is about',
  })
  .transform((a): MaxwellAddress => ({
    mysql: a.mysql,
    source: a.source ?? a.mysql,
    schema: a.schema_database,
    clientId: a.client_id,
    http: a.http,
    hsperfdata: a.hsperfdata,
    logFile: a.log_file,
    logStateFile: a.log_state_file,
    witnessFile: a.witness_file,
  }));
