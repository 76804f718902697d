import type { System } from '../system.ts';
import { backup } from './backup/index.ts';
import { canary } from './canary/index.ts';
import { cdcService, debezium } from './cdc-service/index.ts';
import { consistency } from './consistency/index.ts';
import { host } from './host/index.ts';
import { jvm } from './jvm/index.ts';
import { kafka } from './kafka/index.ts';
import { kafkaConnect } from './kafka-connect/index.ts';
import { maxwell } from './maxwell/index.ts';
import { mysql } from './mysql/index.ts';
import { redis } from './redis/index.ts';

/** The registry: one line per system. */
export const systems: readonly System[] = [
  mysql,
  maxwell,
  cdcService,
  debezium,
  jvm,
  kafka,
  kafkaConnect,
  redis,
  backup,
  host,
  canary,
  consistency,
];
