-- The account of a comparison (targets of kind consistency), on MySQL 5.7 and later and on MariaDB. Run it on the source, with a
-- password of your own: replicas get it by replication. Name each database or table that is compared; on a copy with other names,
-- grant those there.
CREATE USER IF NOT EXISTS 'pipemedic_consistency'@'%' IDENTIFIED BY 'CHANGE-ME' WITH MAX_USER_CONNECTIONS 5;
GRANT SELECT ON shop.* TO 'pipemedic_consistency'@'%';

-- how late the copy is. MariaDB 10.5.9 and later have a privilege for that alone:
--   GRANT REPLICA MONITOR ON *.* TO 'pipemedic_consistency'@'%';
-- MySQL, and MariaDB before 10.5.2:
--   GRANT REPLICATION CLIENT ON *.* TO 'pipemedic_consistency'@'%';
