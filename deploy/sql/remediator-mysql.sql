-- The remediator's account on MySQL 5.7 and later: it reads the same facts as the exporter before it acts and after,
-- with an account of its own, so that each can be locked alone. Restarting Maxwell needs nothing more: a lock taken by
-- GET_LOCK needs no privilege.
CREATE USER IF NOT EXISTS 'pipemedic_remediator'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 20;

GRANT REPLICATION CLIENT, PROCESS ON *.* TO 'pipemedic_remediator'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_remediator'@'%';
