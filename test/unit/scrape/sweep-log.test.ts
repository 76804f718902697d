// What the log says of a target: changes only, and why.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { TargetError } from '../../../exporter/runtime/errors.ts';
import { Rounds } from '../../../exporter/scrape/rounds.ts';
import { fakeInventory, roundsDeps, script } from '../../support/fake-system.ts';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly failed?: readonly string[];
  readonly reasons?: readonly string[];
}

const info = 30;
const warn = 40;

test('collectors that fail are told once with their reasons, and once when all succeed again', async () => {
  const a = script();
  const well = a.collect;
  const lines: Line[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps({ log }));
  const told = async (): Promise<Line[]> => {
    await rounds.scrape(2000);
    return lines.splice(0);
  };
  const fails = (why: string) => (): Promise<void> => Promise.reject(new TargetError('denied', why));
  assert.deepEqual(await told(), []);
  a.collect = fails('BINLOG MONITOR is missing');
  const [failing, ...more] = await told();
  assert.deepEqual(more, []);
  assert.deepEqual([failing?.level, failing?.msg, failing?.failed], [warn, 'collectors failing', ['value']]);
  assert.deepEqual(failing?.reasons, ['value, denied: BINLOG MONITOR is missing']);
  assert.deepEqual(await told(), []);
  a.collect = well;
  const again = await told();
  assert.deepEqual(
    again.map(({ level, msg }) => [level, msg]),
    [[info, 'every collector succeeds again']],
  );
  await rounds.close();
});

test('a target that is up again is told so, and nothing of collectors', async () => {
  const a = script();
  const { ping } = a;
  const lines: Line[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  const rounds = new Rounds(fakeInventory({ a }), roundsDeps({ log }));
  await rounds.scrape(2000);
  a.ping = () => Promise.reject(new TargetError('refused', 'nobody listens'));
  await rounds.scrape(2000);
  a.ping = ping;
  await rounds.scrape(2000);
  assert.deepEqual(
    lines.map(({ level, msg }) => [level, msg]),
    [
      [warn, 'target is down'],
      [info, 'target is up again'],
    ],
  );
  await rounds.close();
});
