import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FactBoard } from '../../../exporter/facts.ts';
import { pause, until } from '../../../exporter/runtime/deadline.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { join } from '../../../exporter/scrape/exposition.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { parseExposition, valueOf, type ParsedFamily } from '../../support/exposition-parser.ts';
import { fakeFact, fakeInventory, roundsDeps, script, type Script } from '../../support/fake-system.ts';

const never = (): Promise<void> => new Promise(() => undefined);

async function scrape(rounds: Rounds, budgetMs = 2000): Promise<Map<string, ParsedFamily>> {
  const startedMs = performance.now();
  // A busy machine delays every timer: the answer may be late by what a plain timer of the budget is late by, no more.
  const timer = pause(budgetMs).then(() => performance.now() - startedMs);
  const blocks = await rounds.scrape(budgetMs);
  const tookMs = performance.now() - startedMs;
  const allowedMs = tookMs < budgetMs ? budgetMs : (await timer) + 50;
  assert.ok(tookMs < allowedMs, `answered after ${tookMs.toFixed(0)} of ${budgetMs.toString()} ms`);
  return parseExposition((await join(blocks, 'text', systemClock)).toString());
}

/** Scrapes with a target `b` beside that must always be whole. */
async function withRounds(
  a: Script,
  check: (rounds: Rounds, faults: readonly string[]) => Promise<void>,
): Promise<void> {
  const b = script();
  const deps = roundsDeps();
  const rounds = new Rounds(fakeInventory({ a, b }), deps);
  try {
    await check(rounds, deps.faults);
  } finally {
    await Promise.race([rounds.close(), pause(1000)]);
  }
}

function assertWhole(found: Map<string, ParsedFamily>, target: string): void {
  assert.equal(valueOf(found, 'pipemedic_target_up', { target }), 1);
  assert.equal(valueOf(found, 'fake_up', { target }), 1);
  assert.equal(valueOf(found, 'fake_value', { target, key: 'a' }), 1);
  assert.equal(valueOf(found, 'fake_state', { target, state: 'ok' }), 1);
  assert.equal(valueOf(found, 'fake_other', { target }), 2);
  assert.equal(valueOf(found, 'pipemedic_collector_success', { target, collector: 'value' }), 1);
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { target }), undefined);
}

function assertDown(found: Map<string, ParsedFamily>, target: string, why: string): void {
  assert.equal(valueOf(found, 'pipemedic_target_up', { target }), 0);
  assert.equal(valueOf(found, 'fake_up', { target }), 0);
  assert.equal(valueOf(found, 'pipemedic_target_error_info', { target, class: why }), 1);
  assert.equal(valueOf(found, 'fake_value', { target }), undefined);
  assert.equal(valueOf(found, 'fake_state', { target, state: 'ok' }), 0);
  assert.equal(valueOf(found, 'fake_state', { target, state: 'unknown' }), 1);
  for (const collector of ['value', 'other']) {
    assert.equal(valueOf(found, 'pipemedic_collector_success', { target, collector }), 0);
    assert.equal(valueOf(found, 'pipemedic_collector_error_info', { target, collector, class: why }), 1);
    assert.equal(valueOf(found, 'pipemedic_collector_duration_seconds', { target, collector }), undefined);
    assert.equal(valueOf(found, 'pipemedic_collector_data_age_seconds', { target, collector }), undefined);
  }
}

test('a healthy client is used again', async () => {
  const a = script();
  await withRounds(a, async (rounds) => {
    assert.equal(rounds.settled, false);
    for (let i = 0; i < 3; i++) assertWhole(await scrape(rounds), 'a');
    assert.equal(a.opens, 1);
    assert.equal(rounds.settled, true);
  });
  assert.equal(a.connections, 0);
});

for (const [name, hung] of [
  ['open', { open: never }],
  ['ping', { ping: never }],
] as const) {
  test(`a hang in ${name}: the target is down in time, the other one is whole`, async () => {
    const a = script(hung);
    await withRounds(a, async (rounds) => {
      const found = await scrape(rounds, 300);
      assertDown(found, 'a', 'deadline');
      assertWhole(found, 'b');
    });
  });
}

test('an open that hangs and ignores its signal: no second connection while it hangs, recovery after it', async () => {
  let release = (): void => undefined;
  const a = script({ open: () => new Promise((resolve) => (release = resolve)) });
  await withRounds(a, async (rounds) => {
    assertDown(await scrape(rounds, 200), 'a', 'deadline');
    assertDown(await scrape(rounds, 200), 'a', 'deadline');
    assert.equal(a.opens, 1);
    a.open = () => Promise.resolve();
    release(); // comes late: it is closed, not used
    assertWhole(await scrape(rounds), 'a');
    assert.equal(a.opens, 2);
    assert.equal(a.mostConnections, 1);
  });
});

test('a hang that heeds its signal: the next scrape recovers', async () => {
  const a = script({ ping: (call) => until(call.signal, 'ping', never()) });
  await withRounds(a, async (rounds) => {
    assertDown(await scrape(rounds, 200), 'a', 'deadline');
    a.ping = () => Promise.resolve();
    assertWhole(await scrape(rounds), 'a');
    assert.equal(a.mostConnections, 1);
  });
});

test('a collector that ignores its signal: late alone, its samples dropped, the client disposed, then recovery', async () => {
  const a = script();
  let late: unknown;
  let release = (): void => undefined;
  a.collect = async (emit) => {
    emit(1, { key: 'early' });
    await new Promise<void>((resolve) => (release = resolve));
    try {
      emit(1, { key: 'late' });
    } catch (error) {
      late = error;
    }
  };
  await withRounds(a, async (rounds, faults) => {
    const found = await scrape(rounds, 300);
    assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 1);
    assert.equal(valueOf(found, 'fake_value', { target: 'a' }), undefined);
    assert.equal(valueOf(found, 'fake_state', { target: 'a', state: 'unknown' }), 1);
    assert.equal(valueOf(found, 'fake_other', { target: 'a' }), 2);
    assert.equal(
      valueOf(found, 'pipemedic_collector_error_info', { target: 'a', collector: 'value', class: 'deadline' }),
      1,
    );
    assertWhole(found, 'b');
    // still hanging: it is not run a second time beside itself, and does not use up the time
    const again = await scrape(rounds);
    assert.equal(valueOf(again, 'pipemedic_collector_success', { target: 'a', collector: 'value' }), 0);
    assert.equal(valueOf(again, 'pipemedic_collector_success', { target: 'a', collector: 'other' }), 1);
    a.collect = script().collect;
    release();
    assertWhole(await scrape(rounds), 'a');
    assert.equal((late as TargetError).code, 'deadline');
    assert.equal(a.opens, 2);
    assert.equal(a.mostConnections, 1);
    assert.deepEqual(faults, []);
  });
});

test('a collector that fails: its class, its state unknown, the client kept', async () => {
  const a = script({ collect: () => Promise.reject(new TargetError('denied', 'no grant')) });
  await withRounds(a, async (rounds) => {
    for (let i = 0; i < 2; i++) {
      const found = await scrape(rounds);
      assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 1);
      assert.equal(
        valueOf(found, 'pipemedic_collector_error_info', { target: 'a', collector: 'value', class: 'denied' }),
        1,
      );
      assert.equal(valueOf(found, 'fake_state', { target: 'a', state: 'unknown' }), 1);
      assert.equal(valueOf(found, 'fake_state', { target: 'a', state: 'ok' }), 0);
      assert.equal(valueOf(found, 'fake_other', { target: 'a' }), 2);
    }
    assert.equal(a.opens, 1);
  });
});

const wrong: Readonly<Record<string, Script['collect']>> = {
  NaN: (emit) => {
    emit(NaN, { key: 'a' });
    return Promise.resolve();
  },
  'a duplicate': (emit) => {
    emit(1, { key: 'a' });
    emit(2, { key: 'a' });
    return Promise.resolve();
  },
  'an undeclared label': (emit) => {
    const labels = { key: 'a', colour: 'red' };
    emit(1, labels);
    return Promise.resolve();
  },
  'NaN in spite of a catch': (emit) => {
    try {
      emit(NaN, { key: 'a' });
    } catch {
      // as a collector might that goes on with the next of its objects
    }
    return Promise.resolve();
  },
  'a throw that is no TargetError': () => Promise.reject(new TypeError('x is undefined')),
};

for (const [name, collect] of Object.entries(wrong)) {
  test(`${name} fails the collector as a bug, not the scrape`, async () => {
    await withRounds(script({ collect }), async (rounds, faults) => {
      const found = await scrape(rounds);
      assert.equal(
        valueOf(found, 'pipemedic_collector_error_info', { target: 'a', collector: 'value', class: 'bug' }),
        1,
      );
      assert.equal(valueOf(found, 'fake_value', { target: 'a' }), undefined);
      assert.equal(valueOf(found, 'fake_other', { target: 'a' }), 2);
      assertWhole(found, 'b');
      assert.deepEqual(faults, ['collector value']);
    });
  });
}

test('what open and ping throw is the class of the target; a fresh one that fails is closed', async () => {
  const a = script({ open: () => Promise.reject(new TargetError('auth', 'wrong password')) });
  await withRounds(a, async (rounds) => {
    assertDown(await scrape(rounds), 'a', 'auth');
    a.open = () => Promise.resolve();
    a.ping = () => Promise.reject(new TargetError('protocol', 'what?'));
    assertDown(await scrape(rounds), 'a', 'protocol');
    assert.equal(a.connections, 0);
    a.ping = () => Promise.resolve();
    assertWhole(await scrape(rounds), 'a');
  });
});

test('a kept connection that broke while idle is opened again in the same scrape', async () => {
  const a = script();
  await withRounds(a, async (rounds) => {
    assertWhole(await scrape(rounds), 'a');
    let pings = 0;
    a.ping = () => {
      pings += 1;
      return pings === 1 ? Promise.reject(new TargetError('unreachable', 'reset')) : Promise.resolve();
    };
    assertWhole(await scrape(rounds), 'a');
    a.usable = false;
    assertWhole(await scrape(rounds), 'a');
    assert.equal(a.opens, 3);
    assert.equal(a.mostConnections, 1);
  });
});

test('a client that collects while its target is down: down with the class of the ping, collectors run, client kept', async () => {
  const a = script({ ping: () => Promise.reject(new TargetError('refused', 'nobody')), collectsWhileDown: true });
  await withRounds(a, async (rounds) => {
    for (let i = 0; i < 2; i++) {
      const found = await scrape(rounds);
      assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 0);
      assert.equal(valueOf(found, 'fake_up', { target: 'a' }), 0);
      assert.equal(valueOf(found, 'pipemedic_target_error_info', { target: 'a', class: 'refused' }), 1);
      assert.equal(valueOf(found, 'fake_value', { target: 'a' }), 1);
      assert.equal(valueOf(found, 'pipemedic_collector_success', { target: 'a', collector: 'value' }), 1);
    }
    a.ping = () => Promise.resolve();
    assertWhole(await scrape(rounds), 'a');
    assert.equal(a.opens, 1);
  });
});

test('50 scrapes at once of one slow target: one open, one sweep', async () => {
  let collects = 0;
  const a = script({
    open: () => pause(50),
    collect: async (emit) => {
      collects += 1;
      await pause(50);
      emit(1, { key: 'a' });
    },
  });
  await withRounds(a, async (rounds) => {
    const all = await Promise.all(Array.from({ length: 50 }, () => scrape(rounds)));
    for (const found of all) assertWhole(found, 'a');
    assert.equal(a.opens, 1);
    assert.equal(collects, 1);
  });
});

test('a scrape with less patience leaves in time, the patient one that shares the sweep gets it whole', async () => {
  const a = script({
    collect: async (emit) => {
      await pause(400);
      emit(1, { key: 'a' });
    },
  });
  await withRounds(a, async (rounds) => {
    // the impatient one begins the sweep
    const [hasty, patient] = await Promise.all([scrape(rounds, 150), scrape(rounds, 3000)]);
    assert.equal(valueOf(hasty, 'fake_state', { target: 'a', state: 'unknown' }), 1);
    assert.equal(valueOf(hasty, 'fake_other', { target: 'a' }), 2);
    assertWhole(hasty, 'b');
    assertWhole(patient, 'a');
    assert.equal(a.opens, 1);
  });
});

test('a client that makes a class of a word of its target ends the scrape of nobody', async () => {
  const strange = new TargetError(Object as unknown as 'failed', 'constructor');
  for (const part of ['open', 'ping', 'collect'] as const) {
    await withRounds(script({ [part]: () => Promise.reject(strange) }), async (rounds) => {
      const found = await scrape(rounds);
      assertWhole(found, 'b');
      const name = part === 'collect' ? 'pipemedic_collector_error_info' : 'pipemedic_target_error_info';
      assert.equal(valueOf(found, name, { target: 'a', class: 'bug' }), 1, part);
    });
  }
});

test('a fault of ours in the report of a target costs the others nothing, and is counted', async () => {
  const inventory = fakeInventory({ a: script(), b: script() });
  const thresholds = [{ threshold: 'value', severity: 'warning', value: NaN }] as const;
  const targets = new Map([...inventory.targets].map(([name, t]) => [name, name === 'a' ? { ...t, thresholds } : t]));
  const deps = roundsDeps();
  const rounds = new Rounds({ ...inventory, targets }, deps);
  const found = await scrape(rounds);
  assertWhole(found, 'b');
  assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), undefined);
  assert.deepEqual(deps.faults, ['report']);
  await rounds.close();
});

test('overlapping scrapes do not keep a hung sweep alive', async () => {
  const a = script({ ping: (call) => until(call.signal, 'ping', never()) });
  await withRounds(a, async (rounds) => {
    const first = scrape(rounds, 300);
    await pause(150);
    const second = scrape(rounds, 300);
    assertDown(await first, 'a', 'deadline');
    assertDown(await second, 'a', 'deadline');
    a.ping = () => Promise.resolve();
    assertWhole(await scrape(rounds), 'a');
  });
});

test('the age of shared data is served, and what a collector says of its own', async () => {
  let begins = (): void => undefined;
  const reads = new Promise<void>((resolve) => {
    begins = resolve;
  });
  const a = script({
    collect: () => {
      begins();
      return pause(1_000);
    },
  });
  await withRounds(a, async (rounds) => {
    const first = scrape(rounds);
    await reads;
    await pause(100);
    const [begun, joined] = await Promise.all([first, scrape(rounds)]);
    const labels = { target: 'a', collector: 'value' };
    assert.equal(valueOf(begun, 'pipemedic_collector_data_age_seconds', labels), 0);
    const age = valueOf(joined, 'pipemedic_collector_data_age_seconds', labels) ?? NaN;
    assert.ok(age >= 0.09 && age < 1, String(age));
    a.collect = (_emit, call) => {
      assert.ok('observed' in call && typeof call.observed === 'function');
      const observed = call.observed as (atMs: number) => void;
      observed(call.clock.monoMs() - 60_000);
      return Promise.resolve();
    };
    const own = valueOf(await scrape(rounds), 'pipemedic_collector_data_age_seconds', labels) ?? NaN;
    assert.ok(own >= 59.9 && own < 61, String(own));
  });
});

test('more series than the limit are left out and counted, the state is still told', async () => {
  const a = script({
    collect: (emit) => {
      for (let i = 0; i < 100; i++) emit(i, { key: String(i) });
      return Promise.resolve();
    },
  });
  const deps = roundsDeps();
  const rounds = new Rounds(
    fakeInventory({ a }, () => ({ series_limit: 20 })),
    deps,
  );
  const found = await scrape(rounds);
  assert.equal(found.get('fake_value')?.samples.length, 10); // one family may take half
  assert.equal(valueOf(found, 'pipemedic_collector_series_dropped', { collector: 'value' }), 90);
  assert.equal(valueOf(found, 'pipemedic_collector_series_dropped', { collector: 'other' }), 0);
  assert.equal(valueOf(found, 'fake_state', { state: 'ok' }), 1);
  assert.equal(valueOf(found, 'fake_other'), 2);
  await rounds.close();
});

test('labels and thresholds of the inventory are served while the target is down; labels stand in front', async () => {
  const a = script({ open: () => Promise.reject(new TargetError('refused', 'nobody')) });
  const inventory = fakeInventory({ a }, () => ({
    labels: { dc: 'x"1' },
    thresholds: { value: { warning: 5, critical: 'off' } },
  }));
  const rounds = new Rounds(inventory, roundsDeps());
  const text = (await join(await rounds.scrape(1000), 'text', systemClock)).toString();
  assert.match(
    text,
    /^pipemedic_threshold\{target="a",dc="x\\"1",threshold="value",severity="warning",consumergroup=""\} 5$/m,
  );
  assert.match(text, /severity="critical",consumergroup=""\} \+Inf$/m);
  assert.match(text, /^pipemedic_target_up\{target="a",dc="x\\"1"\} 0$/m);
  assert.match(text, /^pipemedic_target_info\{target="a",kind="fake"\} 1$/m);
  await rounds.close();
});

test('pipelines see the facts of the sweeps that ended well, also of a shared one; when they throw the scrape goes on', async () => {
  const a = script({ collect: () => pause(50) });
  const b = script({ collect: () => Promise.reject(new TargetError('failed', 'no')) });
  const seen: string[] = [];
  const deps = roundsDeps({
    pipelines: (_pipelines, board) => {
      assert.ok(board instanceof FactBoard);
      for (const target of ['a', 'b']) {
        const fact = board.read(target, fakeFact);
        seen.push(fact.known ? String(fact.value) : fact.why);
      }
      throw new Error('broken');
    },
  });
  const rounds = new Rounds(fakeInventory({ a, b }), deps);
  const all = await Promise.all([scrape(rounds), scrape(rounds)]);
  assert.equal(a.opens, 1);
  assert.deepEqual(seen, ['7', 'fake of b was not collected', '7', 'fake of b was not collected']);
  assert.deepEqual(deps.faults, ['collector value', 'pipelines', 'pipelines'].slice(1));
  for (const found of all) assert.equal(valueOf(found, 'pipemedic_target_up', { target: 'a' }), 1);
  await rounds.close();
});

test('a new inventory keeps the connections that it does not change and ends the others', async () => {
  const scripts = { a: script(), b: script() };
  const rounds = new Rounds(fakeInventory(scripts), roundsDeps());
  await scrape(rounds);
  rounds.replace(
    fakeInventory(scripts, (id) => (id === 'a' ? { labels: { dc: 'x' } } : { collectors: { other: false } })),
  );
  const found = await scrape(rounds);
  assert.equal(valueOf(found, 'fake_value', { target: 'a', dc: 'x' }), 1);
  assert.equal(valueOf(found, 'fake_other', { target: 'b' }), undefined);
  assert.deepEqual([scripts.a.opens, scripts.b.opens], [1, 2]);
  assert.equal(scripts.b.mostConnections, 1);
  rounds.replace(fakeInventory({ b: scripts.b }, () => ({ collectors: { other: false } })));
  assert.equal(valueOf(await scrape(rounds), 'pipemedic_targets_configured'), 1);
  await rounds.close();
  assert.deepEqual([scripts.a.connections, scripts.b.connections], [0, 0]);
});
