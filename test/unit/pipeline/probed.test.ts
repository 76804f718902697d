// Pipelines that are asked for one by one: what is known of one is not forgotten when another one is asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryOf, type Inventory } from '../../../exporter/config/inventory.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { collectPipelines } from '../../../exporter/systems/pipeline/collector-pipeline.ts';
import { FlowMemory } from '../../../exporter/systems/pipeline/facts-flow.ts';
import { fakeSystem, roundsDeps, script } from '../../support/fake-system.ts';

const systems = [fakeSystem({ a: script(), b: script() }, 'mysql')];

/** @param sources of the pipelines, by name */
function inventory(sources: Readonly<Record<string, 'a' | 'b'>>): Inventory {
  const targets = ['a', 'b'].map((id) => ({ name: id, kind: 'mysql', address: { id } }));
  const pipelines = Object.entries(sources).map(([name, source]) => ({ name, objective: '1s', source }));
  return inventoryOf({ targets, pipelines }, 'test.yml', systems);
}

test('each has its memory: kept while others are asked for, until it is gone or made of other parts', async () => {
  const memory = new FlowMemory();
  const rounds = new Rounds(inventory({ p: 'a', q: 'a' }), {
    ...roundsDeps(),
    pipelines: (pipelines, board, put, all) => {
      collectPipelines(pipelines, board, put, systemClock, memory, all);
    },
  });
  const probe = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) await rounds.probePipeline(name, 1000);
  };
  await probe('p', 'q');
  const of = { p: memory.chainOf('p'), q: memory.chainOf('q') };
  await probe('p', 'q', 'q');
  await rounds.scrape(1000);
  assert.equal(memory.chainOf('p'), of.p);
  assert.equal(memory.chainOf('q'), of.q);
  rounds.replace(inventory({ p: 'b', q: 'a' }));
  await probe('q');
  assert.notEqual(memory.chainOf('p'), of.p, 'its changes come from another source now');
  assert.equal(memory.chainOf('q'), of.q);
  rounds.replace(inventory({ p: 'b' }));
  await probe('p');
  assert.notEqual(memory.chainOf('q'), of.q);
  await rounds.close();
});
