// What stands in a cell is what a server, a proxy or a fork of another make puts there: no cell may become a number that
// nobody said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mysql } from '../../../exporter/systems/mysql/index.ts';
import type { MysqlClient, Row } from '../../../exporter/systems/mysql/client.ts';
import { FactBoard } from '../../../exporter/facts.ts';
import { classOf } from '../../../exporter/runtime/errors.ts';
import type { Sample } from '../../../exporter/families.ts';
import { saneServer, type Flavour, type SaneServer } from '../../support/mysql-tape.ts';
import { fakeClient, series, testCall, type Series } from './fake-client.ts';

const strange: Readonly<Record<string, unknown>> = {
  NULL: null,
  empty: '',
  text: 'many',
  binary: Buffer.from([0, 255, 1]),
  negative: '-5',
  '2^64': '18446744073709551616',
  'not a number': 'NaN',
  infinite: 'Infinity',
  'an object': { a: 1 },
};

/** Said as numbers, so that what is made of them is as wrong as the server is. */
const numbers = new Set(['negative', '2^64']);

/** Names, in which any text is what the server says. */
const names = new Set(['Binlog_Do_DB', 'Binlog_Ignore_DB']);
const settings = /^mysql_cdc_setting\{|check="(binlog_format|binlog_row_image)"/;

/** The recorded answers, with one cell of each row of one statement replaced. */
function serverWith(
  sane: SaneServer,
  change?: { readonly sql: string; readonly column: number; readonly value: unknown },
) {
  const asked: string[] = [];
  const client: MysqlClient = {
    ...fakeClient(sane.version, {}),
    query: (sql) => {
      asked.push(sql);
      const found = sane.recorded(sql);
      const rows = (found?.rows ?? []).map((cells): Row =>
        Object.fromEntries(
          (found?.columns ?? []).map((name, i) => [
            name,
            sql === change?.sql && i === change.column ? change.value : cells[i],
          ]),
        ),
      );
      return Promise.resolve(rows);
    },
  };
  return { client, asked };
}

async function run(name: string, client: MysqlClient): Promise<{ samples: Series; error: Error | undefined }> {
  const target = {
    name: 'db',
    kind: 'mysql',
    address: { host: 'db' },
    collectors: Object.fromEntries(mysql.collectors.map((c) => [c.name, {}])),
  };
  const bound = mysql.bind(target, () => assert.fail('refers to no other target'));
  const collector = bound.collectors.find((c) => c.name === name);
  assert.ok(collector);
  const samples: Sample[] = [];
  try {
    await collector.collect(client, (s) => samples.push(s), { ...testCall(), board: new FactBoard() });
    return { samples: series(samples), error: undefined };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { samples: new Map(), error };
  }
}

const flavours: readonly Flavour[] = ['mariadb', 'mysql'];
for (const flavour of flavours) {
  test(`${flavour}: a strange cell is a failure or leaves samples out; it never becomes another number`, async () => {
    const sane = saneServer(flavour);
    const wrong: string[] = [];
    let tried = 0;
    for (const { name } of mysql.collectors) {
      const { client, asked } = serverWith(sane);
      const good = await run(name, client);
      assert.equal(good.error, undefined, `${name}: ${String(good.error)}`);
      const families = new Set([...good.samples.keys()].map(familyOf));
      for (const sql of new Set(asked)) {
        for (const [column, columnName] of (sane.recorded(sql)?.columns ?? []).entries()) {
          if (names.has(columnName)) continue;
          for (const [what, value] of Object.entries(strange)) {
            tried += 1;
            const { samples, error } = await run(name, serverWith(sane, { sql, column, value }).client);
            const where = `${name}: ${what} in ${columnName} of "${sql.slice(0, 50)}"`;
            if (error !== undefined) {
              // A key that is there twice, as it stands in every row here, is left to the encoder's own check.
              const isKey = /Error: twice: /.test(String(error));
              if (classOf(error) === 'bug' && !isKey) wrong.push(`${where}: ${String(error)}`);
              continue;
            }
            for (const [key, number] of samples) {
              const before = good.samples.get(key);
              if (before === number || isState(key) || settings.test(key)) continue;
              // The server has said that very number, or one that this one is made of.
              if (number === Number(value) || (numbers.has(what) && number >= 0)) continue;
              if (before === undefined && families.has(familyOf(key))) continue; // the cell is a label
              wrong.push(`${where}: ${key} is ${number}, not ${before ?? 'absent'}`);
            }
          }
        }
      }
    }
    assert.ok(tried > 500, `${tried} tried`);
    assert.deepEqual(wrong, []);
  });
}

function familyOf(key: string): string {
  return key.slice(0, key.indexOf('{'));
}

function isState(key: string): boolean {
  return /state="/.test(key);
}
