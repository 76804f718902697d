// Servers that misbehave in each statement of each collector. A stand-in plays them: no real server can be made to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Socket } from 'node:net';
import type { CollectorCall } from '../../../exporter/collector.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import { answerBudget } from '../../../exporter/runtime/answer-budget.ts';
import { systemClock } from '../../../exporter/runtime/clock.ts';
import { within } from '../../../exporter/runtime/deadline.ts';
import { classOf, TargetError, type TargetErrorCode } from '../../../exporter/runtime/errors.ts';
import type { Sample } from '../../../exporter/families.ts';
import type { BoundTarget } from '../../../exporter/system.ts';
import { openMysql } from '../../../exporter/systems/mysql/client.ts';
import { mysql } from '../../../exporter/systems/mysql/index.ts';
import {
  error,
  greeting,
  hostileMysql,
  lengthCoded,
  ok,
  packet,
  resultPackets,
  type Misdeed,
  type Reply,
} from '../../support/hostile-mysql.ts';
import { saneServer, type Flavour } from '../../support/mysql-tape.ts';

const flavours: readonly Flavour[] = ['mariadb', 'mysql'];
/** Of a collector that waits in vain; the others have an eternity, and need none of it. */
const deadlineMs = 400;
const eternityMs = 15_000;

function call(ms = deadlineMs): CollectorCall {
  return { signal: within(ms), clock: systemClock, target: 'db', board: new FactBoard() };
}

/** Every collector, those too that are off unless asked for. */
function bind(port: number): BoundTarget {
  const collectors = Object.fromEntries(mysql.collectors.map(({ name }) => [name, {}]));
  const target = { name: 'db', kind: 'mysql', address: { host: '127.0.0.1', port }, auth: { user: 'x' }, collectors };
  return mysql.bind(target, () => assert.fail('refers to no other target'));
}

interface Outcome {
  /** undefined: it succeeded */
  readonly code: TargetErrorCode | undefined;
  readonly why: string;
  readonly tookMs: number;
  readonly samples: readonly Sample[];
}

async function collectFrom(port: number, name: string, ms = eternityMs): Promise<Outcome> {
  const bound = bind(port).collectors.find((c) => c.name === name);
  assert.ok(bound);
  const address = { host: '127.0.0.1', port };
  const client = await openMysql({ address, auth: { user: 'x' }, tls: undefined }, call(eternityMs));
  const given = call(ms);
  const started = performance.now();
  const samples: Sample[] = [];
  try {
    await bound.collect(client, (sample) => samples.push(sample), given);
    return { code: undefined, why: '', tookMs: performance.now() - started, samples };
  } catch (e) {
    const tookMs = performance.now() - started;
    bound.unknown(String(e), () => undefined, given);
    return { code: classOf(e), why: String(e), tookMs, samples: [] };
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

const offeredBytes = 256 * 1024 * 1024;

/** Writes until the other side has enough of it, and no further than it takes. */
function flood(chunk: Buffer): Misdeed {
  return async (socket: Socket) => {
    while (!socket.destroyed && socket.bytesWritten < offeredBytes) {
      if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
    }
  };
}

const oneCell = resultPackets({ columns: ['a'], rows: [['1']] });
const head = Buffer.concat(resultPackets({ columns: ['a'], rows: [] }).slice(0, 3));
const manyRows = Buffer.concat(
  Array.from({ length: 256 }, (_, i) => packet(4 + i, Buffer.from([2, 0x31, 0x31]))), // their numbers wrap around
);

const misdeeds: Readonly<Record<string, readonly [Reply, TargetErrorCode | readonly TargetErrorCode[]]>> = {
  'goes away': [(s) => void s.destroy(), 'unreachable'],
  'half a packet, then silence': [(s) => void s.write(Buffer.concat(oneCell).subarray(0, 20)), 'deadline'],
  'half a packet, then goes away': [(s) => void s.end(Buffer.concat(oneCell).subarray(0, 20)), 'unreachable'],
  'says nothing': [() => undefined, 'deadline'],
  'a byte now and then': [
    async (s) => {
      for (const byte of Buffer.concat(oneCell)) {
        if (s.destroyed) return;
        s.write(Buffer.from([byte]));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    'deadline',
  ],
  'a wrong sequence number': [
    (s) => void s.write(Buffer.concat([oneCell[0] ?? head, packet(9, Buffer.from([1]))])),
    'protocol',
  ],
  'bytes of no meaning': [
    (s) => void s.write(packet(1, Buffer.from([5, 1, 2, 3])).fill(0x7f, 4)),
    ['protocol', 'deadline'],
  ],
  'a cut column definition': [
    (s) => void s.write(Buffer.concat([packet(1, Buffer.from([1])), packet(2, Buffer.from([250]))])),
    ['protocol', 'deadline'],
  ],
  'OK instead of rows': ['ok', 'protocol'],
  'more than one answer': [
    (s) => void s.write(Buffer.concat(resultPackets({ columns: ['a'], rows: [] }, 10))),
    'protocol',
  ],
  'a request for a file of ours': [
    (s) => void s.write(packet(1, Buffer.from('\xfb/etc/passwd', 'latin1'))),
    'protocol',
  ],
  '65535 columns': [(s) => void s.write(packet(1, Buffer.from([0xfc, 0xff, 0xff]))), 'protocol'],
  'text in a numeric column': [{ columns: ['a'], rows: [['many']], type: 'long' }, 'protocol'],
  ...Object.fromEntries(
    (
      [
        [1227, 'denied'],
        [1142, 'denied'],
        [1045, 'auth'],
        [1053, 'unreachable'],
        [1064, 'unsupported'],
        [1193, 'unsupported'],
        [1317, 'deadline'],
        [1969, 'deadline'],
        [3024, 'deadline'],
        [1105, 'failed'],
      ] as const
    ).map(([errno, code]) => [`error ${errno}`, [{ errno, text: 'no' }, code] as const]),
  ),
};

/** A collector that does without a statement when that is denied, and says so in a state. */
function doesWithout(name: string, sql: string, code: TargetErrorCode | readonly TargetErrorCode[]): boolean {
  if (code !== 'denied') return false;
  // Whose row of the heartbeat table counts is told by the status of the replica; lag by commit by performance_schema.
  return (
    (name === 'heartbeat' && /STATUS$/.test(sql)) || (name === 'replication' && sql.includes('performance_schema'))
  );
}

/** Some at a time: each has a server of its own. */
async function inTurns(work: readonly (() => Promise<void>)[]): Promise<void> {
  const left = [...work];
  const one = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await next();
  };
  await Promise.all(Array.from({ length: 16 }, one));
}

for (const flavour of flavours) {
  test(`${flavour}: whatever happens in a statement, the collector fails with its class and in time`, async () => {
    const sane = saneServer(flavour);
    const wrong: string[] = [];
    const rounds: (() => Promise<void>)[] = [];
    for (const { name } of mysql.collectors) {
      await using calm = await hostileMysql({ reply: sane.reply });
      const good = await collectFrom(calm.port, name);
      assert.equal(good.code, undefined, `${name}: ${good.why}`);
      for (const [index, sql] of calm.asked.slice(2).entries()) {
        for (const [what, [reply, expected]] of Object.entries(misdeeds)) {
          rounds.push(async () => {
            await using server = await hostileMysql({ reply: (s, i) => (i === index + 2 ? reply : sane.reply(s)) });
            const inVain = [expected].flat().includes('deadline');
            const { code, why, tookMs } = await collectFrom(server.port, name, inVain ? deadlineMs : eternityMs);
            const ends = code === undefined ? doesWithout(name, sql, expected) : [expected].flat().includes(code);
            if (ends && tookMs < deadlineMs + 1500) return;
            wrong.push(
              `${name}: ${what} in "${sql.slice(0, 40)}": ${code ?? 'success'}, ${Math.round(tookMs)} ms, ${why}`,
            );
          });
        }
      }
    }
    await inTurns(rounds);
    assert.ok(rounds.length > 200, `${rounds.length} tried`);
    assert.deepEqual(wrong, []);
  });
}

/** Where no rows are an answer: not a replica, no replicas, nobody in the group, no such variables; or nobody tells. */
const mayBeEmpty =
  /^SHOW (ALL SLAVES|REPLICA) STATUS$|^SHOW (SLAVE HOSTS|REPLICAS)$|performance_schema\.replication_|rpl_semi_sync_|ts AS DATETIME/;
/** Of these only what is told is used: which plug-ins and filters there are. */
const mayBeOther = /rpl_semi_sync_/;

for (const flavour of flavours) {
  test(`${flavour}: an answer to another question is refused, and so is none where there has to be one`, async () => {
    const sane = saneServer(flavour);
    const wrong: string[] = [];
    let tried = 0;
    for (const { name } of mysql.collectors) {
      await using calm = await hostileMysql({ reply: sane.reply });
      await collectFrom(calm.port, name);
      for (const [index, sql] of calm.asked.slice(2).entries()) {
        for (const [what, reply, isFine] of [
          ['rows of something else', { columns: ['a'], rows: [['x']] }, mayBeOther.test(sql)],
          ['no rows', { columns: ['a'], rows: [] }, mayBeEmpty.test(sql)],
        ] as const) {
          if (isFine || (name === 'cdc_ready' && /^SHOW BIN/.test(sql))) continue;
          tried += 1;
          await using server = await hostileMysql({ reply: (s, i) => (i === index + 2 ? reply : sane.reply(s)) });
          const { code, samples } = await collectFrom(server.port, name);
          if (code === 'protocol' || code === 'unsupported') continue; // MySQL without performance_schema lists no threads
          wrong.push(`${name}: ${what} in "${sql.slice(0, 60)}": ${code ?? `${samples.length} samples`}`);
        }
      }
    }
    assert.ok(tried > 15, `${tried} tried`);
    assert.deepEqual(wrong, []);
  });
}

test('an answer without an end is refused long before it fills the memory', async () => {
  for (const [what, chunk, expected] of [
    [
      'a column of 64 MiB',
      Buffer.concat([packet(0, Buffer.alloc(0)).subarray(0, 0), Buffer.alloc(1 << 20, 0x61)]),
      'protocol',
    ],
    ['a million rows', manyRows, 'protocol'],
  ] as const) {
    const written: Socket[] = [];
    await using server = await hostileMysql({
      reply: (sql, index) => {
        if (index < 2) return saneServer('mariadb').reply(sql);
        return (socket) => {
          written.push(socket);
          socket.write(head);
          // the head of a packet of 16 MiB - 1, over and over: the parts of one large one
          if (what === 'a column of 64 MiB') socket.write(Buffer.from([0xff, 0xff, 0xff, 4]));
          return flood(chunk)(socket);
        };
      },
    });
    const outcome = await collectFrom(server.port, 'replication');
    assert.equal(outcome.code, expected, `${what}: ${outcome.why}`);
    const taken = written.map((s) => s.bytesWritten).reduce((a, b) => a + b, 0);
    assert.ok(taken > 1_000_000 && taken < 64 * 1024 * 1024, `${what}: ${taken} bytes were taken`);
    assert.equal(answerBudget.held, 0, what);
  }
});

test('a greeting that is too large is refused before it is decoded: that took seconds of one turn, and a gigabyte', async () => {
  const whole = packet(0, Buffer.concat([Buffer.from([10]), Buffer.alloc(100_000, 0x43)]));
  const inParts = Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0, 10]), Buffer.alloc(0xffffff - 1, 0x43), Buffer.from([1, 0, 0, 1, 0])]); // prettier-ignore
  for (const bytes of [whole, inParts]) {
    await using server = await hostileMysql({ reply: saneServer('mysql').reply, greet: (s) => void s.write(bytes) });
    const opening = { address: { host: '127.0.0.1', port: server.port }, auth: undefined, tls: undefined };
    await assert.rejects(openMysql(opening, call()), /a log-in of more than 64 KiB/);
  }
});

test('one row that is too large is refused before it is decoded', async () => {
  await using server = await hostileMysql({
    reply: (sql, index) =>
      index < 2
        ? saneServer('mariadb').reply(sql)
        : { columns: ['Slave_IO_State'], rows: [['x'.repeat(5 * 1024 * 1024)]] },
  });
  const { code, why } = await collectFrom(server.port, 'replication');
  assert.equal(code, 'protocol');
  assert.match(why, /a row of more than 4 MiB/);
});

test('while large answers of others fill the room, one is refused, a small one is read, and all is given back', async () => {
  const row = (bytes: number): Reply => ({ columns: ['Slave_IO_State'], rows: [['x'.repeat(bytes)]] });
  await using server = await hostileMysql({
    reply: (sql, index) => (index < 2 ? saneServer('mariadb').reply(sql) : row(sql === 'SELECT 3' ? 3_000_000 : 10)),
  });
  const opening = { address: { host: '127.0.0.1', port: server.port }, auth: { user: 'x' }, tls: undefined };
  const ask = async (...asked: readonly string[]): Promise<readonly unknown[]> => {
    const client = await openMysql(opening, call(eternityMs));
    const found = await Promise.all(
      asked.map((sql) => client.query(sql, [], call(eternityMs)).then(({ length }) => length, classOf)),
    ); // prettier-ignore
    await client[Symbol.asyncDispose]();
    return found;
  };
  const others = answerBudget.begin();
  assert.equal(others.add(256 * 1024 * 1024), undefined);
  const full = answerBudget.held;
  assert.deepEqual(await ask('SELECT 1'), [1]);
  assert.deepEqual(await ask('SELECT 3'), ['queue']);
  assert.equal(answerBudget.held, full);
  others.end();
  assert.deepEqual(await ask('SELECT 3', 'SELECT 1', 'SELECT 3'), [1, 1, 1]);
  assert.equal(answerBudget.held, 0);
});

test('text in a character set that is decoded slowly is refused beyond what an answer of ours has', async () => {
  const utf8mb3 = 33; // decoded as CESU-8
  const cells = (bytes: number): string[][] => Array.from({ length: 4 }, () => ['x'.repeat(bytes / 4)]);
  for (const [collation, bytes, expected] of [
    [utf8mb3, 200 * 1024, undefined],
    [utf8mb3, 300 * 1024, /more than 256 KiB in a foreign character set/],
    [255, 300 * 1024, undefined],
    [3, 1024, /Encoding not recognized: 'dec8'/],
  ] as const) {
    const reply = { columns: ['Slave_IO_State'], rows: cells(bytes), collation };
    await using server = await hostileMysql({
      reply: (sql, index) => (index < 2 ? saneServer('mariadb').reply(sql) : reply),
    });
    const address = { host: '127.0.0.1', port: server.port };
    const client = await openMysql({ address, auth: { user: 'x' }, tls: undefined }, call(eternityMs));
    const answer = client.query('SELECT 1', [], call(eternityMs));
    if (expected === undefined) assert.equal((await answer).length, 4, `${collation}: ${bytes}`);
    else await assert.rejects(answer, expected);
    await client[Symbol.asyncDispose]();
  }
});

test('the definition of a column has no megabytes of name', async () => {
  const reply = { columns: ['n'.repeat(100_000)], rows: [], collation: 33 };
  await using server = await hostileMysql({
    reply: (sql, index) => (index < 2 ? saneServer('mariadb').reply(sql) : reply),
  });
  const { code, why } = await collectFrom(server.port, 'replication');
  assert.equal(code, 'protocol');
  assert.match(why, /a column without a definition/);
});

test('log-in: banners of other services, cut and wrong greetings, refusals, and a server that wants the password', async () => {
  const attempt = async (behaviour: Partial<Parameters<typeof hostileMysql>[0]>): Promise<string> => {
    await using server = await hostileMysql({ reply: saneServer('mysql').reply, ...behaviour });
    const address = { host: '127.0.0.1', port: server.port };
    process.env['HOSTILE_PASSWORD'] = 'very-secret';
    const auth = { user: 'x', password_env: 'HOSTILE_PASSWORD' };
    const started = performance.now();
    const failure = await openMysql({ address, auth, tls: undefined }, call()).then(
      () => 'opened',
      (e: unknown) => e,
    );
    assert.ok(performance.now() - started < deadlineMs + 300);
    assert.ok(failure instanceof TargetError, String(failure));
    assert.ok(!failure.message.includes('very-secret'));
    return failure.code;
  };
  const greet = (bytes: Buffer | string): Partial<Parameters<typeof hostileMysql>[0]> => ({
    greet: (s) => void s.write(bytes),
  });
  const login = (bytes: Buffer): Partial<Parameters<typeof hostileMysql>[0]> => ({ login: (s) => void s.write(bytes) });
  assert.equal(await attempt(greet('SSH-2.0-OpenSSH_9.2\r\n')), 'protocol');
  assert.equal(await attempt(greet('HTTP/1.1 400 Bad Request\r\n\r\n')), 'protocol');
  assert.equal(await attempt(greet(packet(0, Buffer.from([9, 1, 2])))), 'protocol', 'another version of the protocol');
  assert.equal(await attempt(greet(packet(0, Buffer.from([10, 0x35])))), 'protocol', 'cut short');
  assert.equal(await attempt(greet(greeting().subarray(0, 30))), 'deadline');
  assert.equal(await attempt({ greet: (s) => void s.end() }), 'unreachable');
  assert.equal(await attempt({ greet: () => undefined }), 'deadline');
  assert.equal(await attempt(greet(error(0, 1040, 'Too many connections'))), 'failed');
  assert.equal(await attempt(login(error(2, 3159, 'insecure transport is prohibited'))), 'tls');
  assert.equal(await attempt(greet(error(0, 1130, 'Host is not allowed'))), 'auth');
  assert.equal(await attempt(login(error(2, 1045, 'Access denied'))), 'auth');
  assert.equal(await attempt(login(ok(7))), 'protocol', 'out of sequence');
  assert.equal(await attempt(login(packet(2, Buffer.from('\xfemysql_clear_password\0', 'latin1')))), 'auth');
  assert.equal(await attempt(login(packet(2, Buffer.from('\xfeauth_gssapi_client\0', 'latin1')))), 'auth');
  assert.equal(await attempt({ login: flood(lengthCoded(Buffer.alloc(1 << 16, 1))) }), 'protocol');
});

test('what the server sends unasked ends the connection, and the next call is told so', async () => {
  let pushed: Socket | undefined;
  const sane = saneServer('mariadb');
  await using server = await hostileMysql({
    reply: sane.reply,
    greet: (s) => {
      pushed = s;
      s.write(greeting());
    },
  });
  const given = call(5000);
  const client = await openMysql(
    { address: { host: '127.0.0.1', port: server.port }, auth: { user: 'x' }, tls: undefined },
    given,
  );
  pushed?.write(error(0, 4031, 'The client was disconnected by the server because of inactivity'));
  while (client.usable()) await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(client.query('SELECT 1', [], given), { code: 'unreachable' });
});
