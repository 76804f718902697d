import { z } from 'zod';
import { absolutePath, host, port } from '../../fields.ts';

export type MysqlAddress = { readonly host: string; readonly port: number } | { readonly socket: string };

/** `{host, port}` (port 3306 when left out) or `{socket}`. */
export const mysqlAddress = z
  .strictObject({ host: host.optional(), port: port.optional(), socket: absolutePath.optional() })
  .transform((a, context): MysqlAddress => {
    if (a.socket !== undefined && a.host === undefined && a.port === undefined) return { socket: a.socket };
    if (a.host !== undefined && a.socket === undefined) return { host: a.host, port: a.port ?? 3306 };
    context.addIssue({ code: 'custom', message: 'either host (and port) or socket' });
    return z.NEVER;
  });

/** As it stands in errors. */
export function addressText(address: MysqlAddress): string {
  return 'socket' in address ? address.socket : `${address.host}:${address.port}`;
}
