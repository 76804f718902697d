// Where each scenario that must never go wrong is played: a test that is renamed or removed is missed here.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

interface Played {
  readonly what: string;
  readonly file: string;
  /** Part of the test's name as it is written. */
  readonly name: string;
}
interface Gap {
  readonly what: string;
  /** Why no test plays it yet. */
  readonly gap: string;
}

const bench = 'unit/remediator/scenarios.test.ts';
const rules = 'unit/remediator/scenarios-maxwell.test.ts';
const mysql = 'integration/remediator-mysql.test.ts';
const redis = 'integration/remediator-redis.test.ts';
const maxwell = 'integration/remediator-maxwell-faults.test.ts';

const scenarios: readonly (Played | Gap)[] = [
  { what: 'a failed attempt is tried again by its own timer', file: bench, name: 'scenario 0:' },
  {
    what: 'two peers, one run',
    file: 'e2e/two-alertmanagers.test.ts',
    name: 'both deliver the same alert: two deliveries are stored, one run, one start',
  },
  {
    what: 'the receiver answers while an action takes long',
    file: 'unit/remediator/scenario-receiver.test.ts',
    name: 'scenario 2:',
  },
  {
    what: 'a full store is 503, later accepted once',
    file: 'integration/remediator-webhook.test.ts',
    name: 'a full store is 503 and no more; with room again the same notification is taken once',
  },
  { what: 'a mixed group', file: bench, name: 'scenario 4:' },
  { what: 'a truncated group', file: bench, name: 'scenario 5:' },
  { what: 'the budget over a restart', file: 'unit/remediator/approvals.test.ts', name: 'scenario 6:' },
  {
    what: 'kill -9 after the stop, before the start',
    file: 'faults/contract-sweep.test.ts',
    name: 'killed right before the call of ${step}',
  },
  { what: 'MariaDB GTID, events not applied', file: mysql, name: 'refused with the trap named' },
  { what: 'errno 1236 and 13114', file: mysql, name: 'errno 1236' },
  { what: 'errno 0 and stopped', file: mysql, name: 'errno 0 and stopped: held as an intentional stop' },
  { what: 'a primary that came back empty', file: redis, name: 'a primary that came back empty is never copied from' },
  {
    what: 'no REPLICAOF as a reconnect',
    file: redis,
    name: 'a silent link is ended by its own address, and goes on with a partial copy',
  },
  { what: 'Maxwell without a row of its position', file: rules, name: 'scenario 13:' },
  { what: 'Kafka is down', file: maxwell, name: 'Kafka is down: held until it answers again, then repaired' },
  { what: 'an open bootstrap', file: rules, name: 'scenario 15:' },
  { what: 'a truncated dump', gap: 'the action that runs a backup again comes later' },
  { what: 'a switch that cannot be read', file: bench, name: 'scenario 17:' },
  { what: 'a missing label', file: bench, name: 'scenario 18:' },
  { what: 'a storm', file: bench, name: 'scenario 19:' },
  { what: 'hostile label values', file: bench, name: 'scenario 20:' },
  { what: 'a policy edited during a run', file: bench, name: 'scenario 21:' },
  {
    what: 'an alert that resolves in the middle of a run',
    file: 'unit/remediator/runner-contract.test.ts',
    name: 'scenario 22:',
  },
  { what: 'people at work', file: bench, name: 'scenario 23:' },
  {
    what: 'the lease is lost in the middle of a run',
    file: 'faults/contract-sweep.test.ts',
    name: 'stopped right before the call of ${step} until its successor is through; then its late call',
  },
];

for (const [number, scenario] of scenarios.entries()) {
  if ('gap' in scenario) continue;
  test(`scenario ${number}, ${scenario.what}: is played`, () => {
    const text = readFileSync(join(import.meta.dirname, '..', '..', scenario.file), 'utf8');
    assert.ok(text.includes(scenario.name), `${scenario.file} has no test ${scenario.name}`);
  });
}

test('no number is left out', () => {
  assert.equal(scenarios.length, 25);
  const gaps = scenarios.flatMap((s, number) => ('gap' in s ? [number] : []));
  assert.deepEqual(gaps, [16], 'what is not played is named here, and nothing else');
});
