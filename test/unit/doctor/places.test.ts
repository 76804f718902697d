import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryOf } from '../../../exporter/config/inventory.ts';
import { placesOf } from '../../../exporter/doctor/places.ts';
import { systems } from '../../../exporter/systems/index.ts';

const mysql = (name: string): object => ({ name, kind: 'mysql', address: { host: '127.0.0.1', port: 1 } });

test('who reads whose binary log: by the pipelines, and by what a CDC process says of itself', () => {
  const document = {
    targets: [
      ...['source', 'replica', 'tables', 'other', 'lone'].map(mysql),
      { name: 'mx', kind: 'maxwell', address: { mysql: 'source' } },
      { name: 'mx2', kind: 'maxwell', address: { mysql: 'tables', source: 'other' } },
      { name: 'svc', kind: 'cdc-service', address: { http: 'http://127.0.0.1:1', offsets: { mysql: 'tables', database: 'd', column: 'c' } } },
    ],
    pipelines: [
      { name: 'p', objective: '10s', source: 'source', replicas: ['replica'], cdc: 'svc' },
      { name: 'q', objective: '10s', source: 'lone' },
    ],
  }; // prettier-ignore
  assert.deepEqual(Object.fromEntries([...placesOf(inventoryOf(document, 'test.yml', systems))].slice(0, 5)), {
    source: { isSource: true, readers: ['mx', 'svc'] },
    replica: { isSource: false, readers: [] },
    tables: { isSource: false, readers: [] },
    other: { isSource: false, readers: ['mx2'] },
    lone: { isSource: true, readers: [] },
  });
});
