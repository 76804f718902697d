import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown } from '../../../exporter/runtime/known.ts';
import { examineJvm } from '../../../exporter/systems/jvm/facts-doctor.ts';
import type { JvmHeap, JvmLook } from '../../../exporter/systems/jvm/facts-model.ts';
import { testCall } from '../mysql/fake-client.ts';

const heap: JvmHeap = { areas: [], pools: [], gcs: [], afterGcRatio: unknown('there was no collection yet') };

function look(rest: Partial<JvmLook>, value?: Partial<JvmHeap>): JvmLook {
  return {
    source: 'hsperfdata',
    state: value === undefined ? 'unknown' : 'visible',
    why: 'so it is',
    process: unknown('no'),
    pid: undefined,
    heap: value === undefined ? unknown('no') : known({ ...heap, ...value }, 1),
    ...rest,
  };
}

async function findings(...looks: readonly JvmLook[]): Promise<readonly (readonly [string, boolean | 'unknown'])[]> {
  const found = await examineJvm({ looks: () => Promise.resolve(looks) }, testCall());
  for (const { check, ok, text, fix } of found) {
    assert.match(check, /^[a-z_]+$/);
    assert.ok(text.length > 0);
    assert.equal(fix !== undefined, ok !== true, 'what is not well has a fix');
  }
  return found.map(({ check, ok }) => [check, ok]);
}

test('each way to the JVM is judged; a JVM that is not seen has no further findings', async () => {
  assert.deepEqual(await findings(look({}), look({ source: 'jolokia', state: 'gone' })), [
    ['jvm_jolokia', false],
    ['jvm_hsperfdata', 'unknown'],
  ]);
});

test('numbers that are absent have their reason, old ones their age', async () => {
  assert.deepEqual(await findings(look({}, {})), [
    ['jvm_hsperfdata', true],
    ['jvm_heap_used', 'unknown'],
    ['jvm_heap_after_gc_ratio', 'unknown'],
  ]);
  const areas = [{ area: 'heap', usedBytes: 5 }] as const;
  assert.deepEqual(await findings(look({}, { areas, usedAgeSeconds: { heap: 9000 }, afterGcRatio: known(0.5, 1) })), [
    ['jvm_hsperfdata', true],
    ['jvm_heap_used', 'unknown'],
    ['jvm_heap_after_gc_ratio', true],
  ]);
  const page = look({ source: 'prometheus' }, { areas });
  assert.deepEqual(await findings(look({}, { afterGcRatio: known(0.5, 1) }), page), [
    ['jvm_prometheus', true],
    ['jvm_hsperfdata', true],
    ['jvm_heap_used', true],
    ['jvm_heap_after_gc_ratio', true],
  ]);
});
