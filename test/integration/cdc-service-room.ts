// The exporter's own rounds over a CDC service and a Debezium that are played (see cdc-stand-in.ts), held against the
// binary log and the offsets table of a real MariaDB. Time is moved between scrapes.
import assert from 'node:assert/strict';
import { startDatabases, type DatabaseLab } from '../../deploy/lab/databases.ts';
import { databasePorts, mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { inventoryOf, type Inventory } from '../../exporter/config/inventory.ts';
import { systemClock, type Clock } from '../../exporter/runtime/clock.ts';
import { createLog } from '../../exporter/runtime/log.ts';
import { join } from '../../exporter/scrape/exposition.ts';
import { Rounds } from '../../exporter/scrape/rounds.ts';
import { systems } from '../../exporter/systems/index.ts';
import { collectPipelines } from '../../exporter/systems/pipeline/collector-pipeline.ts';
import { json, startStandIn, text, type Reply, type StandIn } from '../support/cdc-stand-in.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../support/exposition-parser.ts';

export type Scrape = ReadonlyMap<string, ParsedFamily>;

export interface CdcRoom {
  readonly lab: DatabaseLab;
  readonly stand: StandIn;
  readonly inventory: Inventory;
  readonly clock: Clock;
  /** Everything answers as it should. */
  readonly heal: () => void;
  /** What Prometheus gets, `seconds` after the scrape before. */
  readonly scrape: (seconds?: number, budgetMs?: number) => Promise<Scrape>;
  readonly stop: () => Promise<void>;
}

export const sound: Readonly<Record<string, Reply>> = {
  '/health': json({ status: 'UP' }),
  '/status': json({ version: '2.1.0', cdc: { ingestTPS: 120.5, applyTPS: 118, errorRate: 0.002 } }),
  '/api/health/detailed': json({ status: 'UP', components: { source: { status: 'UP' }, target: { status: 'DEGRADED' } } }),
  '/api/ddl/alerts': json({ alerts: [{ statement: "ALTER TABLE orders ADD note TEXT DEFAULT 'private'" }] }),
  '/api/ddl/history': json([]),
  '/metrics': text(
    '# HELP cdc_binlog_lag_seconds Lag.\n# TYPE cdc_binlog_lag_seconds gauge\ncdc_binlog_lag_seconds{source="a"} 2.5\ncdc_binlog_lag_seconds{source="b",target="its",env="x"} 4\n# TYPE cdc_queue_depth gauge\ncdc_queue_depth 17\n# TYPE cdc_errors_total counter\ncdc_errors_total{type="apply"} 3.0\ncdc_ingest_rate 12\ncdc_service_state{state="running"} 7\njvm_threads_current 5\ncdc_nan NaN\n',
  ),
}; // prettier-ignore

export const debeziumPage = (parts: Readonly<Record<string, number>>): Reply => {
  const all = { Connected: 1, MilliSecondsBehindSource: 0, MilliSecondsSinceLastEvent: 500, BinlogPosition: 4711, QueueTotalCapacity: 8192, QueueRemainingCapacity: 8000, ...parts };
  return text(Object.entries(all).map(([a, v]) => `debezium_metrics_${a}{plugin="mysql",name="orders",context="streaming",} ${String(v)}\n`).join(''));
}; // prettier-ignore

export const connectPath = '/connectors/orders%2F1/status';
export const connectStatus = (...tasks: readonly string[]): Reply =>
  json({ name: 'orders/1', type: 'source', connector: { state: 'RUNNING', worker_id: 'w:8083' }, tasks: tasks.map((state, id) => ({ id, state, worker_id: 'w:8083', trace: 'private' })) }); // prettier-ignore

export async function openCdcRoom(): Promise<CdcRoom> {
  let movedMs = 0;
  const faults: string[] = [];
  const clock: Clock = { wallMs: () => Date.now() + movedMs, monoMs: () => systemClock.monoMs() + movedMs };
  const lab = await startDatabases(mariadbInstalled, { databases: ['source'] });
  await lab.sql('source', 'CREATE DATABASE app');
  await lab.sql('source', 'CREATE TABLE app.cdc_offsets (id INT PRIMARY KEY, updated_at TIMESTAMP(6) NOT NULL, ms BIGINT, local DATETIME(6))');
  await lab.sql('source', 'INSERT INTO app.cdc_offsets VALUES (1, NOW(6) - INTERVAL 30 SECOND, (UNIX_TIMESTAMP() - 40) * 1000, UTC_TIMESTAMP(6) + INTERVAL 2 HOUR - INTERVAL 50 SECOND)');
  await lab.sql('source', "GRANT SELECT ON app.cdc_offsets TO 'exporter'@'%'");
  const stand = await startStandIn();
  const auth = { user: 'exporter', password_file: lab.secretFile('exporter') };
  const service = (name: string, more: object): object => ({ name, kind: 'cdc-service', address: { http: stand.url, metrics: `${stand.url}/metrics`, source: 'source', ...more } });
  const offsets = (column: object): object => ({ offsets: { mysql: 'source', database: 'app', ...column } });
  const targets = [
    { name: 'source', kind: 'mysql', address: { host: lab.address, port: databasePorts.source }, auth },
    { ...service('cdc', offsets({})), auth, labels: { env: 'prod' } },
    service('ms', offsets({ column: 'ms' })),
    { name: 'local', kind: 'cdc-service', address: { http: stand.url, ...offsets({ column: 'local', time_zone: '+02:00' }) } },
    { name: 'none', kind: 'cdc-service', address: { metrics: `http://localhost:${String(stand.port)}/metrics`, http: stand.url, ...offsets({ table: 'missing' }) }, auth },
    { name: 'dbz', kind: 'debezium', address: { metrics: `${stand.url}/debezium`, connect: { url: stand.url, connector: 'orders/1' }, source: 'source' } },
  ];
  const pipelines = [
    { name: 'orders', objective: '60s', source: 'source', cdc: 'cdc' },
    { name: 'users', objective: '30s', source: 'source', cdc: 'dbz' },
  ];
  const inventory = inventoryOf({ targets, pipelines }, 'test', systems);
  const rounds = new Rounds(inventory, {
    clock,
    log: createLog('test', 'silent'),
    fault: (part, error) => void faults.push(`${part}: ${String(error)}`),
    pipelines: (found, board, put) => {
      collectPipelines(found, board, put, clock);
    },
  });
  return {
    lab,
    stand,
    inventory,
    clock,
    heal: () => {
      stand.replies.clear();
      stand.asked.length = 0;
      for (const [path, reply] of Object.entries(sound)) stand.replies.set(path, reply);
      stand.replies.set('/debezium', debeziumPage({}));
      stand.replies.set(connectPath, connectStatus('RUNNING'));
    },
    scrape: async (seconds = 15, budgetMs = 8000) => {
      movedMs += seconds * 1000;
      const began = performance.now();
      const blocks = await rounds.scrape(budgetMs);
      assert.ok(performance.now() - began < budgetMs + 500, 'answered in time');
      assert.deepEqual(faults, []);
      return parseExposition((await join(blocks, 'text', clock)).toString());
    },
    stop: async () => {
      await rounds.close();
      await stand.close();
      await lab.stop();
    },
  };
} // prettier-ignore

/** The one label of a state family that is 1. */
export function state(found: Scrape, family: string, labels: Readonly<Record<string, string>>): string | undefined {
  const is = (found.get(family)?.samples ?? []).filter(
    (s) => s.value === 1 && Object.entries(labels).every(([l, v]) => s.labels[l] === v),
  );
  assert.ok(is.length <= 1, `${family}: ${String(is.length)} states are 1`);
  return is[0]?.labels['state'];
}
export const stateOf = (found: Scrape, target: string): string | undefined =>
  state(found, 'cdc_service_state', { target });
export const endpoint = (found: Scrape, of: string, target = 'cdc'): string | undefined =>
  state(found, 'cdc_service_endpoint_state', { target, part: of });
export const success = (found: Scrape, collector: string, target = 'cdc'): number | undefined =>
  valueOf(found, 'pipemedic_collector_success', { target, collector });
