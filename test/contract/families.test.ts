// What holds for every system, collector and family of the registry, whoever wrote it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../../exporter/catalogue.ts';
import { inventoryOf } from '../../exporter/config/inventory.ts';
import type { Family } from '../../exporter/families.ts';
import { graphFamilies, selfFamilies } from '../../exporter/graph.ts';
import { systems } from '../../exporter/systems/index.ts';
import { pipelineFamilies } from '../../exporter/systems/pipeline/families.ts';

const all = [...catalogue.values()];
const ofTargets = systems.flatMap((s) => [
  ...(s.up === undefined ? [] : [s.up]),
  ...s.collectors.flatMap((c) => Object.values(c.families)),
]);
const ours = /^(pipemedic|pipeline|maxwell|backup|cdc)_/;
/** Maxwell's own name, as its metrics documentation has it. */
const maxwellsOwn = new Set(['maxwell_replication_lag_milliseconds']);

/** Each family that breaks the rule, with what is wrong. */
function each(families: readonly Family[], wrong: (family: Family) => string | false | undefined): void {
  const found = families.flatMap((family) => {
    const why = wrong(family);
    return why === undefined || why === false ? [] : [`${family.name}: ${why}`];
  });
  assert.deepEqual(found, []);
}

test('there is something to check', () => {
  assert.ok(systems.length > 0);
  assert.ok(systems.every((s) => s.collectors.length > 0));
  assert.ok(ofTargets.length > 0);
});

test('names: the grammar of Prometheus, without colons, which are for recording rules', () => {
  each(all, ({ name }) => !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && 'not a name');
});

test('names of our own: lower case, base units, _total for counters only', () => {
  each(all, ({ name, type }) => {
    if (!ours.test(name) || maxwellsOwn.has(name)) return undefined;
    if (!/^[a-z][a-z0-9_]*$/.test(name) || name.includes('__')) return 'not snake_case';
    if (/_(ms|milliseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|percent)(_total)?$/.test(name)) {
      return 'not in seconds, bytes or a ratio';
    }
    if (type === 'untyped') return 'untyped is for names of peers';
    // Maxwell's own counters are passed through under the names that they have on its Prometheus endpoint.
    if (type === 'counter' && !name.endsWith('_total') && !name.startsWith('maxwell_'))
      return 'a counter without _total';
    return type === 'gauge' && name.endsWith('_total') && !name.startsWith('maxwell_') && 'a gauge that ends in _total';
  });
});

test('a gauge of any origin is not named as what a histogram or counter is made of', () => {
  const made = new Set(all.flatMap(({ name, type }) => (type === 'counter' ? [name] : [])));
  // simpleclient before 0.10 served a gauge and a counter of this name: the counter is written as unknown in OpenMetrics.
  const peers = new Set(['jvm_classes_loaded']);
  each(
    all,
    ({ name, type }) =>
      type === 'gauge' && !peers.has(name) && made.has(`${name}_total`) && 'OpenMetrics would give both one name',
  );
});

test('help: there, one line, ends with a period', () => {
  each(all, ({ help }) => {
    if (help.trim() !== help || help.length < 5) return 'no help';
    return !help.endsWith('.') && 'no period at the end';
  });
  each(all, ({ help }) => help.includes('\n') && 'more than one line');
  for (const system of systems) {
    for (const { name, help } of [system, ...system.collectors].map((x) => ({
      name: 'name' in x ? x.name : x.kind,
      help: x.help,
    }))) {
      assert.match(help, /\.$/, name);
    }
  }
});

test('labels: the grammar of Prometheus, none twice, none that Prometheus or the encoder sets', () => {
  const reserved = new Set(['target', 'instance', 'job', 'exporter']);
  each(all, ({ labels, level }) => {
    const bad = labels.filter((l) => !/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(l));
    if (bad.length > 0) return `not a label name: ${bad.join()}`;
    if (new Set(labels).size < labels.length) return 'a label twice';
    const taken = labels.filter((l) => reserved.has(l) && !(l === 'target' && level !== 'target'));
    if (taken.length > 0) return `reserved: ${taken.join()}`;
    return level === 'target' && labels.includes('pipeline') && 'pipeline on a family of a target';
  });
});

test('the name of the target system never stands on its own series as cluster: that label is the user’s', () => {
  each(ofTargets, ({ labels }) => labels.includes('cluster') && 'cluster');
});

test('what a target’s collector emits is about the target', () => {
  each(ofTargets, ({ level }) => level !== 'target' && `level ${level}`);
  each(
    Object.values(pipelineFamilies),
    ({ level, labels }) => (level !== 'pipeline' || !labels.includes('pipeline')) && 'not of a pipeline',
  );
  each(Object.values(selfFamilies), ({ level }) => level !== 'graph' && `level ${level}`);
});

test('the state family of a family that may be absent exists, is a gauge, and needs none itself', () => {
  each(all, ({ state }) => {
    if (state === undefined) return undefined;
    const family = catalogue.get(state);
    if (family === undefined) return `no family ${state}`;
    if (family.type !== 'gauge') return `${state} is no gauge`;
    return family.state !== undefined && `${state} may be absent itself`;
  });
});

test('a state family can be told by the same collector, so that it is never silent', () => {
  for (const system of systems) {
    for (const collector of system.collectors) {
      const own = new Set(Object.values(collector.families).map((f) => f.name));
      const served = new Set([...own, ...Object.values(graphFamilies).map((f) => f.name)]);
      for (const { name, state } of Object.values(collector.families)) {
        if (state === undefined || served.has(state)) continue;
        const neighbour = system.collectors.some((c) => Object.values(c.families).some((f) => f.name === state));
        assert.ok(neighbour, `${system.kind}/${collector.name}: nobody of this system tells ${state} of ${name}`);
      }
    }
  }
});

test('no family twice within a collector; kinds and collectors have plain names of their own', () => {
  const kinds = systems.map((s) => s.kind);
  assert.equal(new Set(kinds).size, kinds.length);
  for (const system of systems) {
    assert.match(system.kind, /^[a-z][a-z0-9-]*$/);
    const names = system.collectors.map((c) => c.name);
    assert.equal(new Set(names).size, names.length, system.kind);
    for (const { name, families } of system.collectors) {
      assert.match(name, /^[a-z][a-z0-9_]*$/);
      const found = Object.values(families).map((f) => f.name);
      assert.equal(new Set(found).size, found.length, `${system.kind}/${name}`);
    }
    for (const [threshold, help] of Object.entries(system.thresholds)) {
      assert.match(threshold, /^[a-z][a-z0-9_]*$/, system.kind);
      assert.ok(help.length > 5, `${system.kind}/${threshold}`);
    }
  }
});

test('every kind of the registry is known to the inventory, and an unknown one names them', () => {
  assert.throws(
    () => inventoryOf({ targets: [{ name: 'x', kind: 'nonsense', address: {} }] }, 'x', systems),
    new RegExp(systems.map((s) => s.kind).join(', ')),
  );
});
