import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { claimAddress, ports } from '../../deploy/lab/address.ts';

test('labs never share an address, even when chance gives the same one', async () => {
  const claims = [];
  try {
    for (let i = 0; i < 50; i++) claims.push(await claimAddress());
    assert.equal(new Set(claims.map((c) => c.address)).size, claims.length);
    for (const { address } of claims) assert.match(address, /^127\.(?!0\.)\d+\.\d+\.1$/);

    let calls = 0;
    const stuckThenFree = (): number => (calls++ < 4 ? 0.5 : 0.25);
    const first = await claimAddress(() => 0.5);
    claims.push(first);
    const second = await claimAddress(stuckThenFree);
    claims.push(second);
    assert.notEqual(first.address, second.address);
    assert.ok(calls > 4, 'the taken address was tried first');
    await assert.rejects(
      claimAddress(() => 0.5),
      /no loopback address is free/,
    );
  } finally {
    for (const claim of claims) claim.release();
  }
});

test('a released address can be claimed again', async () => {
  const first = await claimAddress(() => 0.75);
  first.release();
  const second = await claimAddress(() => 0.75);
  second.release();
  assert.equal(second.address, first.address);
});

test('all ports differ and lie below the ephemeral range', () => {
  const values = Object.values(ports);
  assert.equal(new Set(values).size, values.length);
  const [low = ''] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t');
  for (const port of values) assert.ok(port < Number(low), String(port));
});
