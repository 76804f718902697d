-- The table of a canary (targets of kind canary) and its user, on MySQL 5.7 and later and on MariaDB. Run it on the source,
-- with a password of your own: replicas get it by replication. One row for each canary, its id the canary's name, so it never grows.
CREATE DATABASE IF NOT EXISTS pipemedic;
CREATE TABLE IF NOT EXISTS pipemedic.canary (
  id VARCHAR(100) NOT NULL PRIMARY KEY,
  token BIGINT NOT NULL,
  written_at VARCHAR(30) NOT NULL
) ENGINE = InnoDB;

-- who writes it: the `auth` of the canary. SELECT too, because MariaDB wants it for what ON DUPLICATE KEY UPDATE sets
CREATE USER IF NOT EXISTS 'pipemedic_canary'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT, INSERT, UPDATE ON pipemedic.canary TO 'pipemedic_canary'@'%';
-- who looks for it on a replica: the exporter's account
GRANT SELECT ON pipemedic.canary TO 'pipemedic_exporter'@'%';
