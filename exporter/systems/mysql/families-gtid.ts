import { gauge } from '../../families.ts';
import { channelLabels } from './families.ts';

/** The worse ones stand further back: of several sources the worst counts. */
export const gtidStates = ['ok', 'ambiguous', 'unrelated', 'off', 'not_paired', 'unknown'] as const;
export type GtidState = (typeof gtidStates)[number];

const absent = { state: 'mysql_gtid_state' } as const;

export const gtidFamilies = {
  missing: gauge(
    'mysql_gtid_missing_transactions',
    'Transactions of the source that this replica has not executed. MariaDB keeps no sets: there it is the difference of sequence numbers, summed over the domains.',
    channelLabels,
    absent,
  ),
  missingPurged: gauge(
    'mysql_gtid_missing_purged_transactions',
    'Transactions that this replica has neither executed nor received and that are in no binary log of the source any more: above 0 it can never catch up. On MariaDB by sequence numbers.',
    channelLabels,
    absent,
  ),
  errant: gauge(
    'mysql_gtid_errant_transactions',
    'Transactions of this replica that none of its sources has. On MariaDB, which keeps no sets, there are at least so many.',
    [],
    absent,
  ),
  state: gauge(
    'mysql_gtid_state',
    'Whether the GTIDs of this replica are compared with its source’s: one series per state, 1 for the present one. ambiguous: MariaDB keeps too little to exclude errant transactions; unrelated: the two share no history; off: no GTIDs on one of them; not_paired: the inventory names no source.',
    ['state'],
  ),
} as const;
