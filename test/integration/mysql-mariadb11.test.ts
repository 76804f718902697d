// The collectors against the newest MariaDB, source and replica: the same suite as on the installed one and on MySQL 9.
import { mariadbUnstable } from '../../deploy/lab/mariadb.ts';
import { mariadbFlavour } from './mysql-flavours.ts';
import { openRoom } from './mysql-room.ts';
import { canarySuite } from './mysql-suite-canary.ts';
import { lagSuite } from './mysql-suite-lag.ts';
import { replicationSuite } from './mysql-suite-replication.ts';
import { serverSuite } from './mysql-suite.ts';

const room = openRoom(mariadbFlavour(mariadbUnstable));
serverSuite(room);
replicationSuite(room);
lagSuite(room);
canarySuite(room);
