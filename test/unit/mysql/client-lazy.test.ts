import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Call } from '../../../exporter/collector.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import type { MysqlClient } from '../../../exporter/systems/mysql/client.ts';
import { lazyMysql } from '../../../exporter/systems/mysql/client-lazy.ts';
import type { Referenced } from '../../../exporter/system.ts';
import { fakeClient } from './fake-client.ts';

const call: Call = { signal: AbortSignal.timeout(5000), clock: systemClock };
const resolve = (name: string): Referenced => {
  return { name, kind: 'mysql', address: { host: '127.0.0.1', port: 3306 }, auth: undefined, tls: undefined };
};

interface Server {
  readonly open: () => Promise<MysqlClient>;
  opened: number;
  living: number;
  refuses: boolean;
  /** The newest connection. */
  breaks: () => void;
}

/** Counts its connections. */
function server(): Server {
  const self: Server = {
    opened: 0,
    living: 0,
    refuses: false,
    breaks: () => undefined,
    open: async () => {
      self.opened += 1;
      await Promise.resolve();
      if (self.refuses) throw new TargetError('refused', 'nobody listens');
      let isLiving = true;
      self.living += 1;
      const end = (): void => {
        if (isLiving) self.living -= 1;
        isLiving = false;
      };
      self.breaks = end;
      return {
        ...fakeClient('8.4.0', {}),
        usable: () => isLiving,
        [Symbol.asyncDispose]: () => {
          end();
          return Promise.resolve();
        },
      };
    },
  };
  return self;
}

test('all who ask at once share one connection, also the second one after the first broke, and it is closed', async () => {
  const db = server();
  const lazy = lazyMysql('db1', resolve, db.open);
  const first = await Promise.all([lazy.get(call), lazy.get(call), lazy.get(call)]);
  assert.equal(new Set(first).size, 1);
  assert.equal(db.opened, 1);
  assert.equal(await lazy.get(call), first[0]);
  db.breaks();
  const second = await Promise.all([lazy.get(call), lazy.get(call)]);
  assert.equal(new Set([...first, ...second]).size, 2);
  assert.deepEqual([db.opened, db.living], [2, 1]);
  await lazy.close();
  assert.equal(db.living, 0);
});

test('a failure is shared too, and the next one who asks tries again', async () => {
  const db = server();
  db.refuses = true;
  const lazy = lazyMysql('db1', resolve, db.open);
  const failed = await Promise.allSettled([lazy.get(call), lazy.get(call)]);
  assert.deepEqual(
    failed.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.equal(db.opened, 1);
  db.refuses = false;
  await lazy.get(call);
  assert.equal(db.opened, 2);
});

test('what is being opened while it is closed is closed too', async () => {
  const db = server();
  const lazy = lazyMysql('db1', resolve, db.open);
  const opening = lazy.get(call);
  await lazy.close();
  await opening;
  assert.equal(db.living, 0);
});
