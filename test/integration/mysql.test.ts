// The collectors against MariaDB of the machine's own release, source and replica: the same suite as on MySQL 9.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mariadbInstalled } from '../../deploy/lab/mariadb.ts';
import { mariadbFlavour } from './mysql-flavours.ts';
import { openRoom } from './mysql-room.ts';
import { canarySuite } from './mysql-suite-canary.ts';
import { lagSuite } from './mysql-suite-lag.ts';
import { replicationSuite } from './mysql-suite-replication.ts';
import { serverSuite, sweeps } from './mysql-suite.ts';

const room = openRoom(mariadbFlavour(mariadbInstalled));

test("no statement of a sweep is in the server's own log of errors", async () => {
  const lab = room.lab();
  for (const name of ['source', 'replica'] as const) {
    await room.unlogged(name, "INSTALL SONAME 'sql_errlog'");
    await sweeps(room, name);
    await assert.rejects(lab.sql(name, 'SELECT nothing_of_the_sort'));
    const errors = readFileSync(`${lab.dir}/${name}/sql_errors.log`, 'utf8').trim().split('\n');
    assert.ok(errors.some((line) => line.includes('nothing_of_the_sort')));
    assert.deepEqual(
      errors.filter((line) => line.includes('exporter[')),
      [],
    );
    await room.unlogged(name, "UNINSTALL SONAME 'sql_errlog'");
  }
});

serverSuite(room);
replicationSuite(room);
lagSuite(room);
canarySuite(room);
