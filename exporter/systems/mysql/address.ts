import { z } from 'zod';
import { absolutePath, host, port } from '../../fields.ts';

export type MysqlAddress =
  | {
      readonly host: string;
      readonly port: number;
      /** The server's RSA key, to send a password to it without TLS. */
      readonly publicKeyFile?: string;
      /** Take the key that the server offers: whoever sits in between can offer one too, and read the password. */
      readonly publicKeyRetrieval?: boolean;
    }
  | { readonly socket: string };

/** `{host, port}` (port 3306 when left out) or `{socket}`. */
export const mysqlAddress = z
  .strictObject({
    host: host.optional(),
    port: port.optional(),
    socket: absolutePath.optional(),
    server_public_key_file: absolutePath.optional(),
    allow_public_key_retrieval: z.boolean().optional(),
  })
  .transform(
    ({ server_public_key_file: keyFile, allow_public_key_retrieval: retrieval, ...a }, context): MysqlAddress => {
      const keys = keyFile !== undefined || retrieval !== undefined;
      if (a.socket !== undefined && a.host === undefined && a.port === undefined && !keys) return { socket: a.socket };
      if (a.host !== undefined && a.socket === undefined) {
        return {
          host: a.host,
          port: a.port ?? 3306,
          ...(keyFile === undefined ? {} : { publicKeyFile: keyFile }),
          ...(retrieval === undefined ? {} : { publicKeyRetrieval: retrieval }),
        };
      }
      context.addIssue({ code: 'custom', message: 'either host (and port) or socket' });
      return z.NEVER;
    },
  );

/** As it stands in errors. */
export function addressText(address: MysqlAddress): string {
  return 'socket' in address ? address.socket : `${address.host}:${address.port}`;
}
