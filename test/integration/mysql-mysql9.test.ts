// The collectors against MySQL 9, source and replicas: the same suite as on MariaDB.
import { mysql9 } from '../../deploy/lab/mysql9.ts';
import { mysqlFlavour } from './mysql-flavours.ts';
import { openRoom } from './mysql-room.ts';
import { serverSuite } from './mysql-suite.ts';

const room = openRoom(mysqlFlavour(mysql9));
serverSuite(room);
