import { z } from 'zod';
import { url } from '../cdc-service/address.ts';

/** `{url: 'http://127.0.0.1:8083'}`: the REST API of one worker; each knows of all connectors of its cluster. */
export const kafkaConnectAddress = z.strictObject({ url });
export type KafkaConnectAddress = z.output<typeof kafkaConnectAddress>;
