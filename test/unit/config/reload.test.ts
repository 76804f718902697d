// A reload takes the whole of the inventory or nothing of it, and touches only the targets that it changes.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { waitFor } from '../../../deploy/lab/ready.ts';
import type { CollectorCall } from '../../../exporter/collector.ts';
import { loadInventory } from '../../../exporter/config/loader.ts';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { until } from '../../../exporter/runtime/deadline.ts';
import { createLog } from '../../../exporter/runtime/log.ts';
import { defaultDeadline } from '../../../exporter/scrape/deadline.ts';
import { join as joined } from '../../../exporter/scrape/exposition.ts';
import { defaultLimits } from '../../../exporter/scrape/limits.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { serve } from '../../../exporter/serve.ts';
import { parseExposition, valueOf } from '../../support/exposition-parser.ts';
import { fakeFact, fakeInventory, fakeSystem, roundsDeps, script, type Script } from '../../support/fake-system.ts';
import { portOf } from '../../support/serving-port.ts';

type Samples = ReturnType<typeof parseExposition>;

interface Running {
  readonly write: (files: Readonly<Record<string, string>>) => Promise<void>;
  readonly reload: () => Promise<boolean>;
  readonly get: (path: string) => Promise<Response>;
  readonly scrape: (path?: string) => Promise<Samples>;
  /** Seconds, of the wall clock. */
  wallSeconds: number;
}

/** An exporter that serves from files, in which `address.id` names a script. */
async function running(
  t: TestContext,
  scripts: Readonly<Record<string, Script>>,
  files: Readonly<Record<string, string>>,
): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'pipemedic-reload-'));
  t.after(() => rm(folder, { recursive: true }));
  const write = async (written: Readonly<Record<string, string>>): Promise<void> => {
    for (const [name, text] of Object.entries(written)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
  };
  await write(files);
  const now = { wallSeconds: 1000 };
  const exporter = await serve({
    load: () => loadInventory(join(folder, 'pipemedic.yml'), [fakeSystem(scripts)]),
    listen: [{ host: '127.0.0.1', port: 0 }],
    version: '1',
    clock: { ...systemClock, wallMs: () => now.wallSeconds * 1000 },
    log: createLog('test', 'silent'),
    pipelines: () => undefined,
    deadline: { ...defaultDeadline, defaultMs: 60_000 },
  });
  t.after(exporter.stop);
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${portOf(exporter)}${path}`);
  const scrape = async (path = '/metrics'): Promise<Samples> => parseExposition(await (await get(path)).text());
  return Object.assign(now, { write, reload: exporter.reload, get, scrape });
}

const target = (name: string, more = ''): string =>
  `targets: [{name: ${name}, kind: fake, address: {id: ${name}}${more}}]\n`;
const upOf = (samples: Samples, name: string): number | undefined =>
  valueOf(samples, 'pipemedic_target_up', { target: name });

test('a bad file anywhere keeps the old inventory whole, and says so until it is mended', async (t) => {
  const scripts = { a: script(), b: script(), c: script() };
  const files = {
    'pipemedic.yml': `include: [conf.d]\n${target('a')}`,
    'conf.d/b.yml': target('b'),
    'conf.d/z.yml': 'targets: []',
  };
  const exporter = await running(t, scripts, files);
  await exporter.scrape();
  const opens = (): readonly number[] => Object.values(scripts).map((s) => s.opens);
  assert.deepEqual(opens(), [1, 1, 0]);
  for (const bad of [
    { 'conf.d/z.yml': 'targets: [' },
    { 'conf.d/z.yml': target('c', ', colour: red') },
    { 'conf.d/z.yml': target('a') },
    { 'conf.d/z.yml': '' },
    { 'conf.d/y.yml': 'pipelines: [{name: p, objective: 1s, source: nobody}]' },
    { 'pipemedic.yml': `include: [conf.d, nothing.yml]\n${target('a')}` },
    { 'pipemedic.yml': 'include: [conf.d]\ntargets: {}' },
  ]) {
    exporter.wallSeconds += 100;
    // What is right in the same set is not taken either
    await exporter.write({ ...files, 'conf.d/b.yml': target('c'), 'conf.d/y.yml': 'targets: []', ...bad });
    assert.equal(await exporter.reload(), false, JSON.stringify(bad));
    const samples = await exporter.scrape();
    assert.equal(valueOf(samples, 'pipemedic_exporter_config_last_reload_successful'), 0);
    assert.equal(valueOf(samples, 'pipemedic_exporter_config_last_reload_success_timestamp_seconds'), 1000);
    assert.equal(valueOf(samples, 'pipemedic_targets_configured'), 2);
    assert.deepEqual([upOf(samples, 'a'), upOf(samples, 'b'), upOf(samples, 'c')], [1, 1, undefined]);
    assert.equal((await exporter.get('/probe?target=b')).status, 200);
    assert.equal((await exporter.get('/probe?target=c')).status, 400);
    assert.deepEqual(opens(), [1, 1, 0]);
  }
  await exporter.write({ ...files, 'conf.d/b.yml': target('c'), 'conf.d/y.yml': 'targets: []' });
  assert.equal(await exporter.reload(), true);
  const samples = await exporter.scrape();
  assert.equal(valueOf(samples, 'pipemedic_exporter_config_last_reload_successful'), 1);
  assert.equal(valueOf(samples, 'pipemedic_exporter_config_last_reload_success_timestamp_seconds'), 1700);
  assert.deepEqual([upOf(samples, 'a'), upOf(samples, 'b'), upOf(samples, 'c')], [1, undefined, 1]);
});

test('what did not change goes on, wherever it is written now; what went away is ended', async (t) => {
  const begun: string[] = [];
  const ended: string[] = [];
  const withWork = (name: string): Script =>
    script({
      background: async ({ signal }) => {
        begun.push(name);
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
        ended.push(name);
      },
    });
  const scripts = { stays: withWork('stays'), changes: withWork('changes'), goes: withWork('goes') };
  const exporter = await running(t, scripts, {
    'pipemedic.yml': 'include: [a.yml, b.yml]',
    'a.yml': `targets:\n- {name: stays, kind: fake, address: {id: stays}}\n- {name: changes, kind: fake, address: {id: changes}}`,
    'b.yml': target('goes'),
  });
  await exporter.scrape();
  assert.deepEqual(begun.sort(), ['changes', 'goes', 'stays']);
  await exporter.write({
    'a.yml': `# moved\n${target('changes', ', collectors: {other: false}')}`,
    'b.yml': target('stays', ', labels: {team: x}, thresholds: {value: {warning: 1}}'),
  });
  assert.equal(await exporter.reload(), true);
  const samples = await exporter.scrape();
  assert.equal(valueOf(samples, 'fake_value', { target: 'stays', team: 'x' }), 1);
  assert.equal(valueOf(samples, 'pipemedic_threshold', { target: 'stays' }), 1);
  assert.equal(valueOf(samples, 'fake_other', { target: 'changes' }), undefined);
  assert.deepEqual([scripts.stays.opens, scripts.changes.opens, scripts.goes.opens], [1, 2, 1]);
  assert.equal(scripts.changes.mostConnections, 1);
  await waitFor(() => scripts.goes.connections === 0 && ended.length === 2, { what: 'what is gone to end' });
  assert.deepEqual(ended.sort(), ['changes', 'goes']);
  assert.deepEqual(begun.filter((name) => name === 'stays').length, 1);
});

/** A target that answers when it is let go. */
function held(): { readonly script: Script; readonly begun: Promise<void>; readonly letGo: () => void } {
  const [begun, gate] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
  const its = script({
    collect: async (emit) => {
      begun.resolve(undefined);
      await gate.promise;
      emit(5, { key: 'held' });
    },
  });
  return { script: its, begun: begun.promise, letGo: () => { gate.resolve(undefined); } }; // prettier-ignore
}

test('a scrape that runs ends with the inventory that it began with', async (t) => {
  const slow = held();
  const exporter = await running(t, { old: slow.script, next: script() }, { 'pipemedic.yml': target('old') });
  await slow.begun; // the sweep that every exporter begins with
  const scrapes = [exporter.scrape(), exporter.scrape('/probe?target=old')];
  await waitFor(
    async () => {
      const inFlight = valueOf(await exporter.scrape('/metrics?self=1'), 'pipemedic_exporter_scrapes_in_flight');
      return inFlight === scrapes.length + 1;
    },
    { what: 'both to be asked' },
  );
  await exporter.write({ 'pipemedic.yml': target('next') });
  assert.equal(await exporter.reload(), true);
  const after = await exporter.scrape();
  assert.deepEqual([upOf(after, 'next'), upOf(after, 'old')], [1, undefined]);
  assert.equal(slow.script.connections, 1);
  slow.letGo();
  for (const samples of await Promise.all(scrapes)) assert.equal(valueOf(samples, 'fake_value', { key: 'held' }), 5);
});

test('a probe that waits for another one while its target is taken away leaves no connection behind', async () => {
  const slow = held();
  const rounds = new Rounds(fakeInventory({ old: slow.script }), roundsDeps());
  const first = rounds.probe('old', 60_000, new Set(['value']));
  await slow.begun;
  const second = rounds.probe('old', 60_000, new Set(['other'])); // there is one connection: it waits
  rounds.replace(fakeInventory({ next: script() }));
  slow.letGo();
  assert.ok((await first)?.some(({ header }) => header.name === 'fake_value'));
  assert.ok((await second)?.some(({ header }) => header.name === 'fake_other'));
  await rounds.close();
  assert.equal(slow.script.connections, 0);
});

/** A target whose collector never ends. */
function hanging(): { readonly script: Script; readonly begun: Promise<void> } {
  const begun = Promise.withResolvers<undefined>();
  const collect = (): Promise<void> => {
    begun.resolve(undefined);
    return new Promise(() => undefined);
  };
  return { script: script({ collect }), begun: begun.promise };
}

test(
  'the end of the program does not wait for a target that hangs and was taken away',
  { timeout: 30_000 },
  async () => {
    const { script: old, begun } = hanging();
    const rounds = new Rounds(fakeInventory({ old }), roundsDeps());
    const asked = rounds.probe('old', 600_000);
    await begun;
    rounds.replace(fakeInventory({ next: script() }));
    await rounds.close();
    assert.ok((await asked)?.some(({ header }) => header.name === 'pipemedic_target_up'));
    assert.equal(old.connections, 0);
  },
);

test('an inventory that was read while the program ended begins nothing', async () => {
  const begun: string[] = [];
  const withWork = (name: string): Script => script({ background: () => Promise.resolve(void begun.push(name)) });
  const rounds = new Rounds(fakeInventory({ old: withWork('old') }), roundsDeps());
  await rounds.close();
  begun.length = 0;
  rounds.replace(fakeInventory({ next: withWork('next') }));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, []);
  assert.deepEqual([...rounds.inventory.targets.keys()], ['old']);
});

test('what a target says after it was taken away is known to nobody', async () => {
  const slow = held();
  let known: boolean | undefined;
  const next = script({
    collect: async (emit, call) => {
      known = (await (call as CollectorCall).peers?.fact('old', fakeFact, 0))?.known;
      emit(1, { key: 'next' });
    },
  });
  const rounds = new Rounds(fakeInventory({ old: slow.script, next }), roundsDeps());
  const first = rounds.probe('old', 60_000);
  await slow.begun;
  rounds.replace(fakeInventory({ next }));
  slow.letGo();
  await first;
  await waitFor(() => slow.script.connections === 0, { what: 'what is gone to end' });
  await rounds.probe('next', 60_000);
  assert.equal(known, false);
  await rounds.close();
});

test('a target that was changed while the server that it was hangs is not asked yet, which is not down', async () => {
  const hung = script({ open: (call) => until(call.signal, 'open', new Promise<void>(() => undefined)) });
  const systems = [fakeSystem({ hung, well: script() })];
  const of = (id: string): Inventory =>
    inventoryOf({ targets: [{ name: 'a', kind: 'fake', address: { id } }] }, 'test.yml', systems);
  const limits = { ...defaultLimits, leastSweepMs: 50 };
  const rounds = new Rounds(of('hung'), { ...roundsDeps(), limits });
  const scrape = async (budgetMs: number): Promise<Samples> =>
    parseExposition((await joined(await rounds.scrape(budgetMs), 'text', systemClock)).toString());
  const before = scrape(1000);
  rounds.replace(of('well'));
  const meanwhile = await scrape(200);
  assert.equal(upOf(meanwhile, 'a'), undefined);
  assert.equal(valueOf(meanwhile, 'fake_up', { target: 'a' }), undefined);
  assert.equal(valueOf(meanwhile, 'pipemedic_target_error_info', { target: 'a', class: 'queue' }), 1);
  assert.equal(valueOf(meanwhile, 'pipemedic_target_backoff_seconds', { target: 'a' }), 0);
  assert.equal(upOf(await before, 'a'), 0);
  assert.equal(upOf(await scrape(1000), 'a'), 1);
  await rounds.close();
});
