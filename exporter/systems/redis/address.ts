import { z } from 'zod';
import { absolutePath, host, port } from '../../fields.ts';

/** `{host, port}` over TCP (port 6379 when left out) or `{socket}`, an absolute path; `log_file` where it can be read here. */
export const redisAddress = z
  .strictObject({
    host: host.optional(),
    port: port.optional(),
    socket: absolutePath.optional(),
    log_file: absolutePath.optional(),
  })
  .refine((a) => (a.host === undefined) !== (a.socket === undefined), 'either host (and port) or socket')
  .refine((a) => a.socket === undefined || a.port === undefined, 'a socket without a port, or host with one');
export type RedisAddress = z.output<typeof redisAddress>;

export const defaultPort = 6379;
