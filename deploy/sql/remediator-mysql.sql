-- The remediator's account on MySQL 5.7 and later: it reads the same facts as the exporter before it acts and after,
-- with an account of its own, so that each can be locked alone. Restarting Maxwell needs nothing more: a lock taken by
-- GET_LOCK needs no privilege, nor does ending a connection of the same account.
CREATE USER IF NOT EXISTS 'pipemedic_remediator'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20;

GRANT REPLICATION CLIENT, PROCESS ON *.* TO 'pipemedic_remediator'@'%';
-- START and STOP of replication threads, for mysql.replica.restart-thread, and which receiver is which, so that none is
-- stopped but the one that is stuck; leave these out where that is not wanted (MySQL 5.7: SUPER for the first)
GRANT REPLICATION_SLAVE_ADMIN ON *.* TO 'pipemedic_remediator'@'%';
GRANT SELECT ON performance_schema.replication_connection_status TO 'pipemedic_remediator'@'%';
GRANT SELECT ON performance_schema.replication_connection_configuration TO 'pipemedic_remediator'@'%';
GRANT SELECT ON performance_schema.replication_applier_status_by_coordinator TO 'pipemedic_remediator'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_remediator'@'%';
