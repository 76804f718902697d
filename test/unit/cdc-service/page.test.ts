import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Known } from '../../../exporter/runtime/known.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { readPage } from '../../../exporter/runtime/exposition-text.ts';
import { passedOf, serviceNumbersOf } from '../../../exporter/systems/cdc-service/facts-page.ts';

const nowMs = 1_700_000_000_000;

async function numbers(...lines: readonly string[]): Promise<readonly unknown[]> {
  const value = await readPage(`${lines.join('\n')}\n`, systemClock);
  const { lagSeconds, queueDepth } = serviceNumbersOf({ state: 'ok', value }, nowMs);
  return [lagSeconds, queueDepth].map((fact: Known<number>) => (fact.known ? fact.value : fact.why));
}

test('the worst lag and all queues count, and none where one of them is from before or no number', async () => {
  const page = ['cdc_binlog_lag_seconds{table="a"} 3', 'cdc_queue_depth{q="1"} 4', 'cdc_queue_depth{q="2"} 5'];
  assert.deepEqual(await numbers(...page, 'cdc_binlog_lag_seconds{table="b"} 7'), [7, 9]);
  assert.deepEqual(await numbers(...page, `cdc_binlog_lag_seconds{table="b"} 7 ${nowMs - 59_000}`), [7, 9]);
  const old = `cdc_binlog_lag_seconds{table="b"} 7 ${nowMs - 61_000}`;
  assert.deepEqual(await numbers(...page, old), ['cdc_binlog_lag_seconds on its page is from a while ago', 9]);
  assert.match(String((await numbers(...page, 'cdc_binlog_lag_seconds{table="b"} -1'))[0]), /is no number/);
  assert.deepEqual(await numbers('cdc_other 1'), [
    'its page has no cdc_binlog_lag_seconds',
    'its page has no cdc_queue_depth',
  ]);
});

test('a sample from before is not passed on, and is counted; nor is one that would pass for ours', async () => {
  const page = await readPage(`cdc_a 1 ${nowMs - 61_000}\ncdc_b 2\ncdc_service_state 1\n`, systemClock);
  const { names, dropped } = passedOf(page, nowMs);
  assert.deepEqual(
    names.map(({ name }) => name),
    ['cdc_b'],
  );
  assert.deepEqual([dropped.stale, dropped.name], [1, 1]);
});
