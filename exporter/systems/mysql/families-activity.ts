import { gauge } from '../../families.ts';

const state = 'mysql_activity_state';

export const activityFamilies = {
  open: gauge('mysql_transactions_open', 'InnoDB transactions that are open.', [], { state }),
  long: gauge('mysql_transactions_long', 'InnoDB transactions that are open for longer than the limit.', [], { state }),
  limit: gauge('mysql_transaction_long_seconds', 'The limit: a transaction that is open for longer is a long one.', []),
  oldest: gauge(
    'mysql_transaction_oldest_seconds',
    'How long the oldest InnoDB transaction is open; 0 with none.',
    [],
    {
      state,
    },
  ),
  lockWaits: gauge('mysql_lock_waits', 'InnoDB transactions that wait for a row lock.', [], { state }),
  longestWait: gauge(
    'mysql_lock_wait_longest_seconds',
    'How long the longest wait for a row lock lasts; 0 with none.',
    [],
    {
      state,
    },
  ),
  metadataLockWaits: gauge(
    'mysql_metadata_lock_waits',
    'Threads that wait for a metadata lock, a global read lock or a backup lock.',
    ['thread'],
    { state },
  ),
  state: gauge(state, '1 for whether transactions and lock waits are known.', ['state']),
};

export const semiSyncFamilies = {
  state: gauge(
    'mysql_semi_sync_state',
    '1 for the state of semi-synchronous replication: degraded is set to on and does not protect.',
    ['role', 'state'],
  ),
};

const readersState = 'mysql_binlog_readers_state';

export const readerFamilies = {
  threads: gauge('mysql_dump_threads', 'Connections that read the binary log, by user.', ['user'], {
    state: readersState,
  }),
  readers: gauge(
    'mysql_binlog_readers',
    'Connections that read the binary log; server_id only for a registered replica that can be told from others.',
    ['user', 'host', 'server_id'],
    { state: readersState },
  ),
  state: gauge(readersState, '1 for whether the readers of the binary log are known.', ['state']),
};
