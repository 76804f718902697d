// How an end is looked at: the text that is in the place now, whatever its form.
import type { Call } from '../../collector.ts';
import { messageOf, TargetError } from '../../runtime/errors.ts';
import type { Referenced } from '../../system.ts';
import { kafkaAddress } from '../kafka/address.ts';
import { loadKafkaLibrary } from '../kafka/client-library.ts';
import { wireOptionsOf } from '../kafka/client.ts';
import { mysqlAddress } from '../mysql/address.ts';
import { openMysql } from '../mysql/client.ts';
import { withGrant } from '../mysql/facts-errors.ts';
import { redisAddress } from '../redis/address.ts';
import { openRedis, type RedisClient } from '../redis/client.ts';
import { quotedTable } from './client-writer.ts';

export interface CanarySight extends AsyncDisposable {
  /** Undefined when there is nothing. @throws TargetError */
  readonly look: (call: Call) => Promise<string | undefined>;
  /** Where what came is read in turn: passes over what is there, while no token is waited for. @throws TargetError */
  readonly skip?: (call: Call) => Promise<void>;
  readonly usable: () => boolean;
}

/** The value that holds the token is a small one; no more of a larger one is read. */
const maxChars = 64 * 1024;
const maxFields = 256;

export async function openMysqlSight(
  { address, auth, tls }: Referenced,
  place: { readonly table: string; readonly name: string },
  call: Call,
): Promise<CanarySight> {
  const client = await openMysql({ address: mysqlAddress.parse(address), auth, tls }, call);
  // Without it every look would be one into the transaction of the first
  await client.query('SET SESSION autocommit = 1', [], call).catch(async (error: unknown) => {
    await client[Symbol.asyncDispose]();
    throw error;
  });
  const statement = `SELECT * FROM ${quotedTable(place.table)} WHERE id = ? LIMIT 1`;
  return {
    look: async (of) => {
      const rows = await client.query(statement, [place.name], of).catch((error: unknown) => {
        throw withGrant(error, client.account, 'SELECT', place.table);
      });
      const [row] = rows;
      return row === undefined ? undefined : Object.values(row).map(cellText).join(' ').slice(0, maxChars);
    },
    usable: () => client.usable(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function cellText(cell: unknown): string {
  if (typeof cell === 'string') return cell;
  if (typeof cell === 'number') return String(cell);
  return Buffer.isBuffer(cell) ? cell.toString('utf8') : '';
}

export async function openRedisSight(
  { name, address, auth, tls }: Referenced,
  { key, field }: { readonly key: string; readonly field?: string },
  resolve: (name: string) => Referenced,
  call: Call,
): Promise<CanarySight> {
  const client = await openRedis({ target: name, address: redisAddress.parse(address), auth, tls, resolve }, call);
  let isHash = field !== undefined;
  return {
    look: async (of) => {
      if (!isHash) {
        try {
          return textOf(await client.send(of, 'GETRANGE', key, '0', String(maxChars)));
        } catch (error) {
          if (!(error instanceof TargetError) || !error.message.includes('WRONGTYPE')) throw withCommands(error);
          isHash = true;
        }
      }
      try {
        return await hashText(client, of, key, field);
      } catch (error) {
        // The key may be made anew as a text
        isHash = field !== undefined;
        throw withCommands(error);
      }
    },
    usable: () => client.usable(),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function hashText(
  client: RedisClient,
  call: Call,
  key: string,
  field: string | undefined,
): Promise<string | undefined> {
  if (field !== undefined) return textOf(await client.send(call, 'HGET', key, field));
  const length = Number(await client.send(call, 'HLEN', key));
  if (length > maxFields) {
    throw new TargetError('unsupported', `${key} has ${length} fields: say in \`field\` which one holds the token`);
  }
  const values = await client.send(call, 'HVALS', key);
  return Array.isArray(values) ? textOf(values.join(' ')) : undefined;
}

function textOf(reply: unknown): string | undefined {
  return typeof reply === 'string' && reply !== '' ? reply.slice(0, maxChars) : undefined;
}

export async function openKafkaSight(
  { address, auth, tls }: Referenced,
  topic: string,
  call: Call,
): Promise<CanarySight> {
  const options = await wireOptionsOf({ address: kafkaAddress.parse(address), auth, tls });
  // The library takes nearly half a second to load
  await loadKafkaLibrary();
  const { openKafkaTail } = await import('../kafka/client-tail.ts');
  const tail = await openKafkaTail(options, topic, call);
  return {
    look: tail.read,
    skip: tail.skip,
    usable: tail.usable,
    [Symbol.asyncDispose]: () => tail[Symbol.asyncDispose](),
  };
}

function withCommands(error: unknown): unknown {
  if (!(error instanceof TargetError) || error.code !== 'denied') return error;
  return new TargetError('denied', `${messageOf(error)}. The user needs: %R~KEY +getrange +hget +hlen +hvals`, {
    cause: error,
  });
}
