import { z } from 'zod';

const broker = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s/@:]+):\d{1,5}$/, 'host:port, without a scheme')
  .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port up to 65535');

/** `{brokers: ['host:port', …]}`: where to begin; the rest of the cluster is learnt from them. */
export const kafkaAddress = z.strictObject({
  brokers: z.array(broker).min(1),
  /** How a user is authenticated; used only with `auth`. */
  sasl: z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']).default('SCRAM-SHA-512'),
});
export type KafkaAddress = z.output<typeof kafkaAddress>;
