-- The remediator's account on MariaDB 10.5.9 and later: it reads the same facts as the exporter before it acts and
-- after, with an account of its own, so that each can be locked alone. Restarting Maxwell needs nothing more: a lock
-- taken by GET_LOCK needs no privilege, nor does ending a connection of the same account.
CREATE USER IF NOT EXISTS 'pipemedic_remediator'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20;

GRANT REPLICA MONITOR, BINLOG MONITOR, PROCESS ON *.* TO 'pipemedic_remediator'@'%';
-- START and STOP of replication threads, for mysql.replica.restart-thread; leave it out where that is not wanted
-- (before 10.5.2: SUPER)
GRANT REPLICATION SLAVE ADMIN ON *.* TO 'pipemedic_remediator'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_remediator'@'%';
