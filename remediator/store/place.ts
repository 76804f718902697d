// Where the store is, as the settings say it: a file, or a database on a server that nobody repairs.
import { z } from 'zod';
import { absolutePath, host, port, tlsField } from '../../exporter/fields.ts';
import { addressText, mysqlAddress, type MysqlAddress } from '../../exporter/systems/mysql/address.ts';
import type { MysqlPlace } from './mysql-session.ts';

export interface MysqlStorePlace extends MysqlPlace {
  readonly allowRelaxedDurability: boolean;
}

const mysqlPlace = z
  .strictObject({
    host: host.optional(),
    port: port.optional(),
    socket: absolutePath.optional(),
    server_public_key_file: absolutePath.optional(),
    allow_public_key_retrieval: z.boolean().optional(),
    database: z.string().regex(/^[A-Za-z0-9_]{1,64}$/, 'the name of a database: letters, digits and _'),
    user: z.string().min(1),
    password_file: absolutePath.optional(),
    tls: tlsField.optional(),
    /** Take a server that may forget the newest entries at a power failure. */
    allow_relaxed_durability: z.boolean().default(false),
  })
  .transform((m, context): MysqlStorePlace => {
    const { database, user, password_file, tls, allow_relaxed_durability, ...rest } = m;
    const address = mysqlAddress.safeParse(rest);
    if (!address.success) {
      context.addIssue({ code: 'custom', message: address.error.issues[0]?.message ?? 'an address' });
      return z.NEVER;
    }
    return {
      address: address.data,
      database,
      auth: { user, ...(password_file === undefined ? {} : { password_file }) },
      tls,
      allowRelaxedDurability: allow_relaxed_durability,
    };
  });

/** The path of a file (SQLite), or `mysql:`. */
export const storeField = z.union([absolutePath, z.strictObject({ mysql: mysqlPlace })], {
  error: 'an absolute path, or mysql: with host (and port) or socket, database, user and password_file',
});

/** For people: where it is. */
export function placeText({ address, database }: MysqlPlace): string {
  return `mysql://${addressText(address)}/${database}`;
}

/**
 * The remediator would lose its memory together with what it repairs: none of the servers that are watched may hold it.
 * Compared by address here; the same server under another name is not seen.
 */
export function placementProblems(
  place: MysqlPlace,
  targets: Iterable<readonly [name: string, target: { readonly kind: string; readonly address: unknown }]>,
): readonly string[] {
  const own = comparable(place.address);
  const problems: string[] = [];
  for (const [name, { kind, address }] of targets) {
    if (kind !== 'mysql' || typeof address !== 'object' || address === null) continue;
    if (comparable(address as MysqlAddress) !== own) continue;
    problems.push(
      `remediation.store.mysql: ${addressText(place.address)} is the target ${name}, which may be repaired. Take a server that is none of the targets`,
    );
  }
  return problems;
}

function comparable(address: MysqlAddress): string {
  if ('socket' in address) return address.socket;
  const name = address.host.toLowerCase();
  return `${/^(localhost|::1|127\.0\.0\.1)$/.test(name) ? 'loopback' : name}:${address.port}`;
}
