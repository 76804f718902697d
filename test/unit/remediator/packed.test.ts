import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { packed, unpacked } from '../../../remediator/store/packed.ts';

for (const size of [0, 1, 600, 2_048, 2_049, 100_000, 4 * 1024 * 1024]) {
  test(`a body of ${size} bytes comes back, and any gunzip reads what is kept`, async () => {
    const body = Buffer.from('{"labels": "ä"}'.repeat(Math.ceil(size / 10))).subarray(0, size);
    const kept = await packed(body);
    assert.ok(gunzipSync(kept).equals(body));
    assert.ok((await unpacked(kept)).equals(body));
    assert.ok(kept.length <= 2_048 + 23 || kept.length < body.length / 10, `${kept.length} bytes`);
  });
}

test('a body that is damaged is empty', async () => {
  const kept = Buffer.from(await packed(Buffer.from('{"version":"4"}')));
  for (const at of [0, 12, 16, kept.length - 1]) {
    const damaged = Buffer.from(kept);
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    assert.equal((await unpacked(damaged)).length, 0, `byte ${at}`);
  }
  assert.equal((await unpacked(kept.subarray(0, -3))).length, 0);
  assert.equal((await unpacked(Buffer.alloc(0))).length, 0);
});
