-- The exporter's account on MySQL 5.7 and later. Run it on the source, with a password of your own:
-- replicas get it by replication. Run on a replica itself it is an errant transaction, unless SET sql_log_bin = 0 stands
-- before it (where mysql.* is not replicated).
CREATE USER IF NOT EXISTS 'pipemedic_exporter'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20;

-- SHOW REPLICA STATUS, SHOW BINARY LOG STATUS, SHOW BINARY LOGS
GRANT REPLICATION CLIENT ON *.* TO 'pipemedic_exporter'@'%';
-- the connections of other accounts: who reads the binary log, long transactions, lock waits
GRANT PROCESS ON *.* TO 'pipemedic_exporter'@'%';
-- when the source was last heard of, commit times, group members; the rest of performance_schema holds other people's SQL
GRANT SELECT ON performance_schema.replication_connection_status TO 'pipemedic_exporter'@'%';
GRANT SELECT ON performance_schema.replication_connection_configuration TO 'pipemedic_exporter'@'%';
GRANT SELECT ON performance_schema.replication_applier_status_by_coordinator TO 'pipemedic_exporter'@'%';
GRANT SELECT ON performance_schema.replication_applier_status_by_worker TO 'pipemedic_exporter'@'%';
GRANT SELECT ON performance_schema.replication_group_members TO 'pipemedic_exporter'@'%';
GRANT SELECT ON performance_schema.replication_group_member_stats TO 'pipemedic_exporter'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_exporter'@'%';
-- only with the CDC service, on its table of offsets: GRANT SELECT ON app.cdc_offsets TO 'pipemedic_exporter'@'%';
-- only with the collector `heartbeat`, on its table: GRANT SELECT ON heartbeat.heartbeat TO 'pipemedic_exporter'@'%';
-- only with the collector `slave_hosts`: GRANT REPLICATION SLAVE ON *.* TO 'pipemedic_exporter'@'%';
-- only with `cdc_user` of the collector `cdc_ready`; it shows the hashes of passwords too:
--   GRANT SELECT ON mysql.* TO 'pipemedic_exporter'@'%';
-- only to tell replicas behind one address apart in mysql_binlog_readers, together with REPLICATION SLAVE; user variables
-- may hold other people's data:
--   GRANT SELECT ON performance_schema.user_variables_by_thread TO 'pipemedic_exporter'@'%';
--   GRANT SELECT ON performance_schema.threads TO 'pipemedic_exporter'@'%';
