// A bounded write load on shop.orders; goes on by itself after the source was away.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { configFile, endSignal, messageOf, say } from './child.ts';

export interface WriterConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly passwordFile: string;
  readonly rowsPerSecond: number;
  /** The oldest rows go when there are more. */
  readonly maxRows: number;
}

const config = configFile() as WriterConfig;
const ending = endSignal();
const states = ['new', 'paid', 'packed', 'sent'];
const isEnding = (): boolean => ending.aborted;
let written = 0;

async function connected(): Promise<Connection> {
  return await createConnection({
    host: config.host,
    port: config.port,
    user: config.user,
    password: readFileSync(config.passwordFile, 'utf8').trim(),
    database: 'shop',
    connectTimeout: 2_000,
  });
}

/** Of ten changes six insert, three update and one deletes; the table is kept within its bound. */
async function writeOne(connection: Connection): Promise<void> {
  const n = written++;
  const options = { timeout: 5_000 };
  if (n % 100 === 0) {
    const [rows] = await connection.query<RowDataPacket[]>({ ...options, sql: 'SELECT MAX(id) AS last FROM orders' });
    const oldest = Number(rows[0]?.['last'] ?? 0) - config.maxRows;
    if (oldest > 0)
      await connection.execute({ ...options, sql: 'DELETE FROM orders WHERE id <= ? LIMIT 200' }, [oldest]);
  }
  if (n % 10 < 6) {
    const values = [`Zoë Nº ${n}`, states[0] ?? '', (n % 5000) / 10];
    await connection.execute(
      { ...options, sql: 'INSERT INTO orders (customer, state, total) VALUES (?, ?, ?)' },
      values,
    );
  } else if (n % 10 < 9) {
    const text = 'UPDATE orders SET state = ?, total = total + 1 ORDER BY id DESC LIMIT 1';
    await connection.execute({ ...options, sql: text }, [states[n % states.length] ?? '']);
  } else {
    await connection.execute({ ...options, sql: 'DELETE FROM orders ORDER BY id LIMIT 1' });
  }
}

while (!isEnding()) {
  let connection: Connection | undefined;
  try {
    connection = await connected();
    const begun = performance.now();
    for (let i = 1; !isEnding(); i++) {
      await writeOne(connection);
      if (i === 1) say('writing');
      // paced by the clock, so that a slow statement is made up for, but never by more than a second's worth
      const aheadMs = (i * 1000) / config.rowsPerSecond - (performance.now() - begun);
      if (aheadMs > 0) await sleep(aheadMs, undefined, { signal: ending }).catch(() => undefined);
      else if (aheadMs < -1000) break;
    }
  } catch (error) {
    say('the source is not written to', { error: messageOf(error) });
    await sleep(500, undefined, { signal: ending }).catch(() => undefined);
  } finally {
    connection?.destroy();
  }
}
say('ended', { written });
