// Families of the position collector.
import { counter, gauge } from '../../families.ts';

const labels = ['client_id', 'server_id'] as const;
const absent = { state: 'maxwell_state' } as const;

export const positionFamilies = {
  state: gauge(
    'maxwell_state',
    'State of Maxwell: one series per state, 1 for the present one. position_lost: the binary log of its position is gone from the source.',
    ['client_id', 'state'],
  ),
  reason: gauge(
    'maxwell_state_reason_info',
    'Why Maxwell is in its state: heartbeats_return, catching_up, process_gone, file_purged, beyond_end, gtids_purged, unreadable, silent, still, nothing_read or settling.',
    ['client_id', 'state', 'reason'],
  ),
  layer: gauge(
    'maxwell_layer_state',
    'State of each layer of the health of Maxwell, from its process up to its data: one series per layer and state, 1 for the present one. A layer that cannot be seen is unknown.',
    ['client_id', 'layer', 'state'],
  ),
  mode: gauge(
    'maxwell_position_mode',
    'By what Maxwell keeps its position: one series per mode, 1 for the present one.',
    ['client_id', 'mode'],
  ),
  lag: gauge(
    'maxwell_heartbeat_lag_seconds',
    'Age of the newest heartbeat that went through Maxwell, behind the newest that it wrote; behind the clock of the database once it writes none.',
    labels,
    absent,
  ),
  age: gauge(
    'maxwell_heartbeat_age_seconds',
    'Time since Maxwell wrote its newest heartbeat, by the clock of the database.',
    labels,
    absent,
  ),
  behind: gauge(
    'maxwell_position_behind_bytes',
    'Binary log between the position of Maxwell and the current one of its source.',
    labels,
    absent,
  ),
  headroomBytes: gauge(
    'maxwell_position_purge_headroom_bytes',
    'Binary log on the source before the position of Maxwell: purging more than this loses the position.',
    labels,
    absent,
  ),
  headroomFiles: gauge(
    'maxwell_position_purge_headroom_files',
    'Binary log files on the source before the one that Maxwell reads.',
    labels,
    absent,
  ),
  headroomSeconds: gauge(
    'maxwell_position_purge_headroom_seconds',
    'For how long the source keeps what Maxwell has not read, at least: its retention, less the age of the heartbeat that Maxwell has read last. What people purge is not foreseen.',
    labels,
    { state: 'maxwell_position_purge_state' },
  ),
  purgeState: gauge(
    'maxwell_position_purge_state',
    'Whether the source removes what Maxwell has not read by its age: one series per state, 1 for the present one. unlimited: it removes nothing by itself. unknown: also where it goes by size, or by a setting of its provider.',
    ['client_id', 'state'],
  ),
  lost: gauge(
    'maxwell_position_lost',
    '1 when the source no longer has the binary log from the position of Maxwell on.',
    labels,
    absent,
  ),
  duplicate: gauge(
    'maxwell_duplicate_state',
    'Whether another Maxwell was seen under this client_id: one series per state, 1 for the present one. seen: heartbeats were written while the process of this one was gone and its supervisor (witness_file) had not started it, or what finds its process is configured wrongly. unknown: also when they were written and no supervisor counts its starts. not_seen is no proof: two that live at once look like one until the elder ends, which maxwell_log_events_total{class="duplicate"} tells.',
    ['client_id', 'state'],
  ),
  regressions: counter(
    'maxwell_position_regressions_total',
    'Times that the position was seen to go back, which Maxwell by itself never does: another one, or a person, has written it.',
    ['client_id'],
    absent,
  ),
} as const;
