// Many targets, of which a part hangs; many scrapes of one target; scrapes that want different parts of one.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { pause, until } from '../../../exporter/runtime/deadline.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { join as joined } from '../../../exporter/scrape/exposition.ts';
import { defaultLimits } from '../../../exporter/scrape/limits.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import type { TargetState } from '../../../exporter/scrape/sweeper.ts';
import type { Block } from '../../../exporter/scrape/writer.ts';
import { systems } from '../../../exporter/systems/index.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../../support/exposition-parser.ts';
import { fakeInventory, roundsDeps, script, type Script } from '../../support/fake-system.ts';
import type { FleetPorts } from '../../support/fleet-stand-in.ts';

async function read(blocks: readonly Block[] | undefined): Promise<Map<string, ParsedFamily>> {
  assert.ok(blocks !== undefined);
  return parseExposition((await joined(blocks, 'text', systemClock)).toString());
}

const never = (): Promise<void> => new Promise(() => undefined);

async function fleetInTime(maxSweeps: number): Promise<void> {
  const scripts: Record<string, Script> = {};
  for (let i = 0; i < 60; i++) {
    // The first ones hang: with fewer places than these, all places are theirs at first.
    scripts[`t${String(i)}`] = script(i < 20 ? { ping: (call) => until(call.signal, 'ping', never()) } : {});
  }
  const rounds = new Rounds(fakeInventory(scripts), roundsDeps({ limits: { ...defaultLimits, maxSweeps } }));
  const budgetMs = 4000;
  const startedMs = performance.now();
  const timer = pause(budgetMs).then(() => performance.now() - startedMs);
  const blocks = await rounds.scrape(budgetMs);
  const tookMs = performance.now() - startedMs;
  // A busy machine delays every timer: late by what a plain timer of the budget is late by, no more.
  assert.ok(tookMs <= Math.max(budgetMs, (await timer) + 100), `answered after ${tookMs.toFixed(0)} ms`);
  const found = await read(blocks);
  for (let i = 0; i < 60; i++) {
    const target = `t${String(i)}`;
    const isUp = i < 20 ? 0 : 1;
    assert.equal(valueOf(found, 'pipemedic_target_up', { target }), isUp, target);
    assert.equal(valueOf(found, 'fake_value', { target }), isUp === 1 ? 1 : undefined);
    assert.equal(valueOf(found, 'fake_state', { target, state: 'unknown' }), 1 - isUp);
    assert.equal(
      valueOf(found, 'pipemedic_target_error_info', { target, class: 'deadline' }),
      isUp === 1 ? undefined : 1,
    );
  }
  await rounds.close();
}

test('60 targets, a third of them hanging, 64 and 8 at a time: in time, and the rest is whole', async () => {
  await Promise.all([fleetInTime(64), fleetInTime(8)]);
});

test('who leaves early is told that it is late; for people and the log the look counts that goes on', async () => {
  const gate = Promise.withResolvers<undefined>();
  const a = script({ ping: () => gate.promise });
  const lines: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) });
  const rounds = new Rounds(
    fakeInventory({ a }),
    roundsDeps({ log, limits: { ...defaultLimits, leastSweepMs: 60_000 } }),
  );
  for (let i = 0; i < 3; i++) {
    const found = await read(await rounds.probe('a', 10));
    assert.equal(valueOf(found, 'pipemedic_target_error_info', { class: 'deadline' }), 1);
  }
  const seen = (): TargetState['seen'] => rounds.states[0]?.seen;
  assert.equal(seen(), undefined, 'nothing is known yet');
  gate.resolve(undefined);
  assert.equal(valueOf(await read(await rounds.probe('a', 20_000)), 'pipemedic_target_up'), 1);
  const { down, failed } = seen() ?? {};
  assert.deepEqual({ down, failed }, { down: undefined, failed: [] });
  assert.deepEqual(lines, [], 'it was never down');
  assert.equal(a.opens, 1);
  await rounds.close();
});

test('what was not asked because others were before it says so, and is not called down for its own fault', async () => {
  const scripts = { a: script({ open: (call) => until(call.signal, 'open', never()) }), c: script() };
  const rounds = new Rounds(
    fakeInventory(scripts),
    roundsDeps({ limits: { ...defaultLimits, maxSweeps: 1, leastSweepMs: 0 } }),
  );
  const hanging = rounds.probe('a', 20_000);
  // Shorter than the shortest share that a sweep has: its place is not given on
  const found = await read(await rounds.probe('c', 30));
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { class: 'queue' }), 1);
  for (const name of ['pipemedic_target_up', 'fake_up', 'pipemedic_target_data_age_seconds']) {
    assert.equal(valueOf(found, name), undefined, `${name}: nobody knows`);
  }
  assert.equal(valueOf(found, 'fake_state', { state: 'unknown' }), 1);
  assert.equal(valueOf(found, 'pipemedic_target_backoff_seconds'), 0);
  assert.equal(scripts.c.opens, 0);
  const state = rounds.states.find((s) => s.target.name === 'c');
  assert.match(state?.seen?.down?.why ?? '', /too many other targets were before it/);
  // With patience it has its turn beside the one that hangs
  assert.equal(valueOf(await read(await rounds.probe('c', 20_000)), 'pipemedic_target_up'), 1);
  await rounds.close();
  await hanging;
});

/** Accepts, and never says a word. */
async function blackHole(): Promise<{ port: number; accepted: () => number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    accepted: () => accepted,
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

const kinds = ['mysql', 'redis'] as const;

test('a target that is known to be down stays so while it is not asked again because others are before it', async () => {
  let aheadMs = 0;
  const clock = { ...systemClock, monoMs: () => systemClock.monoMs() + aheadMs };
  const c = script({ open: () => Promise.reject(new TargetError('refused', 'nobody listens')) });
  const a = script({ open: (call) => until(call.signal, 'open', never()) });
  const limits = { ...defaultLimits, maxSweeps: 1, leastSweepMs: 0 };
  const rounds = new Rounds(fakeInventory({ a, c }), roundsDeps({ clock, limits }));
  await rounds.probe('c', 2000);
  aheadMs += 600_000;
  await rounds.probe('c', 2000); // down for ten minutes: it is left alone for half a minute
  aheadMs += 60_000;
  const hanging = rounds.probe('a', 20_000);
  const found = await read(await rounds.probe('c', 30));
  assert.equal(c.opens, 2);
  assert.equal(valueOf(found, 'pipemedic_target_up'), 0);
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { class: 'refused' }), 1);
  const age = valueOf(found, 'pipemedic_target_data_age_seconds') ?? NaN;
  assert.ok(age >= 60 && age < 600, `${age} s old`);
  await rounds.close();
  await hanging;
});

test('50 scrapes at once, by both doors and of single collectors, of a target that says nothing: one connection', async () => {
  const holes = await Promise.all(kinds.map(() => blackHole()));
  const targets = kinds.map((kind, i) => ({ name: kind, kind, address: { host: '127.0.0.1', port: holes[i]?.port } }));
  const rounds = new Rounds(inventoryOf({ targets }, 'test.yml', systems), roundsDeps());
  const collector: Record<string, string> = { mysql: 'replication', redis: 'replication_stream' };
  const budgetMs = 1500;
  const asked = Array.from({ length: 50 }, (_, i) => {
    if (i % 3 === 0) return rounds.scrape(budgetMs);
    const name = kinds[i % 2] ?? 'mysql';
    const only = i % 3 === 1 ? new Set([collector[name] ?? '']) : undefined;
    return rounds.probe(name, budgetMs, only);
  });
  for (const [i, blocks] of (await Promise.all(asked)).entries()) {
    const found = await read(blocks);
    const up = found.get('pipemedic_target_up')?.samples ?? [];
    assert.deepEqual(
      up.map(({ value }) => value),
      i % 3 === 0 ? [0, 0] : [0],
    );
  }
  assert.deepEqual(
    holes.map((hole) => hole.accepted()),
    [1, 1],
  );
  await rounds.close();
  await Promise.all(holes.map((hole) => hole.close()));
});

test('servers over TCP, a third of them black holes: all that the others have is there, in time', async (t) => {
  const played = fork(join(import.meta.dirname, '../../support/fleet-stand-in.ts'));
  t.after(() => {
    played.disconnect();
  });
  const [ports] = (await once(played, 'message')) as [FleetPorts];
  const holes = await Promise.all(Array.from({ length: 6 }, () => blackHole()));
  const at = (port: number | undefined): object => ({ host: '127.0.0.1', port });
  const alive = Array.from({ length: 12 }, (_, i) =>
    i % 2 === 0
      ? { name: `db${String(i)}`, kind: 'mysql', address: at(ports.mariadb), auth: { user: 'x' } }
      : { name: `cache${String(i)}`, kind: 'redis', address: at(ports.redis) },
  );
  const silent = holes.map(({ port }, i) => ({
    name: `hole${String(i)}`,
    kind: kinds[i % 2] ?? '',
    address: at(port),
  }));
  const targets = silent.flatMap((one, i) => [one, ...alive.slice(i * 2, i * 2 + 2)]);
  const limits = { ...defaultLimits, maxSweeps: 4 };
  const rounds = new Rounds(inventoryOf({ targets }, 'test.yml', systems), roundsDeps({ limits }));
  const budgetMs = 6000;
  const startedMs = performance.now();
  const timer = pause(budgetMs).then(() => performance.now() - startedMs);
  const blocks = await rounds.scrape(budgetMs);
  const tookMs = performance.now() - startedMs;
  assert.ok(tookMs <= Math.max(budgetMs, (await timer) + 100), `answered after ${tookMs.toFixed(0)} ms`);
  const found = await read(blocks);
  for (const { name } of silent) {
    assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: name, class: 'deadline' }), 1, name);
  }
  for (const { name } of alive) assert.equal(valueOf(found, 'pipemedic_target_up', { target: name }), 1, name);
  const success = found.get('pipemedic_collector_success')?.samples ?? [];
  const failed = success.filter((s) => s.value !== 1 && s.labels['target']?.startsWith('hole') !== true);
  assert.deepEqual(failed, []);
  assert.deepEqual(
    holes.map((hole) => hole.accepted()),
    holes.map(() => 1),
  );
  await rounds.close();
  await Promise.all(holes.map((hole) => hole.close()));
});

test('those who wait for a sweep of other collectors get all that they want from the next one', async () => {
  const runs: string[] = [];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const a = script({
    collect: async (emit) => {
      runs.push('value');
      if (runs.length === 1) await held;
      emit(1, { key: 'a' });
    },
    ping: () => {
      runs.push('ping');
      return Promise.resolve();
    },
  });
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps());
  const first = rounds.probe('a', 20_000, new Set(['value']));
  const others = [
    ...Array.from({ length: 10 }, () => rounds.probe('a', 20_000, new Set(['other']))),
    ...Array.from({ length: 10 }, () => rounds.scrape(20_000)),
  ];
  await new Promise(setImmediate);
  release();
  assert.equal(valueOf(await read(await first), 'fake_value'), 1);
  for (const [i, blocks] of (await Promise.all(others)).entries()) {
    const found = await read(blocks);
    assert.equal(valueOf(found, 'fake_other'), 2);
    assert.equal(valueOf(found, 'fake_value'), i < 10 ? undefined : 1);
  }
  assert.deepEqual(runs, ['ping', 'value', 'ping', 'value']);
  assert.equal(a.opens, 1);
  await rounds.close();
});
