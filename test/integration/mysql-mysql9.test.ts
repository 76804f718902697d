// The collectors against MySQL 9, source and replica: the same suite as on MariaDB.
import { mysql9 } from '../../deploy/lab/mysql9.ts';
import { mysqlFlavour } from './mysql-flavours.ts';
import { openRoom } from './mysql-room.ts';
import { canarySuite } from './mysql-suite-canary.ts';
import { lagSuite } from './mysql-suite-lag.ts';
import { replicationSuite } from './mysql-suite-replication.ts';
import { serverSuite } from './mysql-suite.ts';

const room = openRoom(mysqlFlavour(mysql9));
serverSuite(room);
replicationSuite(room);
lagSuite(room);
canarySuite(room);
