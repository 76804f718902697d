-- The exporter's account on MariaDB 10.5.9 and later. Run it on the source, with a password of your own:
-- replicas get it by replication. Run on a replica itself it is an errant transaction, unless SET sql_log_bin = 0 stands
-- before it (where mysql.* is not replicated).
-- Before 10.5.9 grant REPLICATION CLIENT instead of BINLOG MONITOR and REPLICA MONITOR (10.5.2 to 10.5.8: BINLOG MONITOR
-- and REPLICATION SLAVE ADMIN).
CREATE USER IF NOT EXISTS 'pipemedic_exporter'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20;

-- SHOW ALL SLAVES STATUS
GRANT REPLICA MONITOR ON *.* TO 'pipemedic_exporter'@'%';
-- SHOW BINLOG STATUS, SHOW BINARY LOGS
GRANT BINLOG MONITOR ON *.* TO 'pipemedic_exporter'@'%';
-- the connections of other accounts: who reads the binary log, long transactions, lock waits
GRANT PROCESS ON *.* TO 'pipemedic_exporter'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_exporter'@'%';
-- only with the CDC service, on its table of offsets: GRANT SELECT ON app.cdc_offsets TO 'pipemedic_exporter'@'%';
-- only with the collector `heartbeat`, on its table: GRANT SELECT ON heartbeat.heartbeat TO 'pipemedic_exporter'@'%';
-- only with the collector `slave_hosts`: GRANT REPLICATION MASTER ADMIN ON *.* TO 'pipemedic_exporter'@'%';
-- only with `cdc_user` of the collector `cdc_ready`; it shows the hashes of passwords too:
--   GRANT SELECT ON mysql.* TO 'pipemedic_exporter'@'%';
