import type { System } from '../system.ts';

/** The registry: one line per system. Each is loaded when it is needed: all of them are a third of the start. */
export const kinds: Readonly<Record<string, () => Promise<System>>> = {
  mysql: async () => (await import('./mysql/index.ts')).mysql,
  maxwell: async () => (await import('./maxwell/index.ts')).maxwell,
  'cdc-service': async () => (await import('./cdc-service/index.ts')).cdcService,
  debezium: async () => (await import('./cdc-service/index.ts')).debezium,
  jvm: async () => (await import('./jvm/index.ts')).jvm,
  kafka: async () => (await import('./kafka/index.ts')).kafka,
  'kafka-connect': async () => (await import('./kafka-connect/index.ts')).kafkaConnect,
  redis: async () => (await import('./redis/index.ts')).redis,
  backup: async () => (await import('./backup/index.ts')).backup,
  host: async () => (await import('./host/index.ts')).host,
  canary: async () => (await import('./canary/index.ts')).canary,
  consistency: async () => (await import('./consistency/index.ts')).consistency,
};
