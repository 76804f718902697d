import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { Connection } from '../../../exporter/scrape/connection.ts';
import type { TargetClient } from '../../../exporter/system.ts';

function connectionTo(client: Partial<TargetClient>): {
  readonly connection: Connection;
  readonly opens: () => number;
} {
  let opens = 0;
  const whole: TargetClient = {
    ping: () => Promise.reject(new TargetError('refused', 'gone')),
    usable: () => true,
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...client,
  };
  const open = (): Promise<TargetClient> => {
    opens++;
    return Promise.resolve(whole);
  };
  const connection = new Connection(
    { open, collectors: [], examine: () => Promise.resolve([]) },
    createLog('test', 'silent'),
  );
  return { connection, opens: () => opens };
}

const call = { signal: new AbortController().signal, clock: systemClock };

test('a client that collects while its target is down is given and kept, with the reason of its silence', async () => {
  let answers = false;
  const { connection, opens } = connectionTo({
    collectsWhileDown: true,
    ping: () => (answers ? Promise.resolve() : Promise.reject(new TargetError('refused', 'gone'))),
  });
  await connection.ready(call);
  assert.match(String(connection.silence), /gone/);
  await connection.ready(call);
  assert.equal(opens(), 1);
  answers = true;
  await connection.ready(call);
  assert.equal(connection.silence, undefined);
});

test('without that, when it is broken, and when the time is over, silence is an error', async () => {
  await assert.rejects(connectionTo({}).connection.ready(call), { code: 'refused' });
  const broken = connectionTo({ collectsWhileDown: true, usable: () => false });
  await assert.rejects(broken.connection.ready(call), { code: 'refused' });
  const over = connectionTo({ collectsWhileDown: true });
  await assert.rejects(over.connection.ready({ ...call, signal: AbortSignal.abort() }));
});
