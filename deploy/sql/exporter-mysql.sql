-- The exporter's account on MySQL 5.7 and later. Run it on each source and replica, with a password of your own.
CREATE USER IF NOT EXISTS 'pipemedic_exporter'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 5;

-- SHOW REPLICA STATUS, SHOW BINARY LOG STATUS, SHOW BINARY LOGS
GRANT REPLICATION CLIENT ON *.* TO 'pipemedic_exporter'@'%';
-- the connections of other accounts: who reads the binary log
GRANT PROCESS ON *.* TO 'pipemedic_exporter'@'%';
-- where Maxwell keeps its tables (schema_database); leave it out elsewhere
GRANT SELECT ON maxwell.* TO 'pipemedic_exporter'@'%';
