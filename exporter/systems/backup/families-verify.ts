import { gauge } from '../../families.ts';

const state = { state: 'backup_verified' };

/** `off`: no state_file is configured, so that a restarted exporter reads everything anew. */
export const keepingStates = ['kept', 'failed', 'off'] as const;

export const verifyFamilies = {
  verified: gauge(
    'backup_verified',
    'Whether the newest finished backup was read to its end and is complete: one series per state, 1 for the present one. pending: it waits to be read; unverifiable: what is in it cannot be seen (encrypted); unknown: there is none, or it cannot be read.',
    ['type', 'state'],
  ),
  verdict: gauge(
    'backup_verdict_info',
    'What reading the newest finished backup has shown: 1, with the class of what is wrong, or complete.',
    ['type', 'verdict'],
    state,
  ),
  verifiedAt: gauge(
    'backup_verified_timestamp_seconds',
    'When the newest finished backup was read to its end, whatever that has shown.',
    ['type'],
    state,
  ),
  verifyDuration: gauge(
    'backup_verify_duration_seconds',
    'How long reading the newest finished backup took, with rests.',
    ['type'],
    state,
  ),
  verifiedBytes: gauge(
    'backup_verified_bytes',
    'Bytes that were read of the newest finished backup, as stored.',
    ['type'],
    state,
  ),
  contentBytes: gauge(
    'backup_content_bytes',
    'Bytes of the newest finished backup after decompression, as far as it could be read.',
    ['type'],
    state,
  ),
  checksumOk: gauge(
    'backup_checksum_ok',
    '1 when the newest finished backup is what the check sum file beside it says, 0 when not; absent without such a file.',
    ['type'],
    state,
  ),
  compressionOk: gauge(
    'backup_compression_ok',
    '1 when the newest finished backup can be decompressed to its end, 0 when not; absent when it is not compressed.',
    ['type'],
    state,
  ),
  verifyingSince: gauge(
    'backup_verifying_since_timestamp_seconds',
    'When the reading of a backup was begun that is under way; absent when none is.',
    ['type'],
    state,
  ),
  unread: gauge('backup_unverified_files', 'Finished backups that were not read yet, or cannot be.', ['type'], state),
  header: gauge(
    'backup_header_info',
    'What the newest complete backup says of itself: 1, with the tool that made it, its version, that of the server, and the character set.',
    ['type', 'tool', 'tool_version', 'server_version', 'character_set'],
    state,
  ),
  tables: gauge('backup_tables', 'Tables in the newest complete backup.', ['type'], state),
  startedAt: gauge(
    'backup_started_timestamp_seconds',
    'When the newest complete backup was begun, where its tool says so.',
    ['type'],
    state,
  ),
  binlogInfo: gauge(
    'backup_binlog_position_info',
    'Where in the binary log the newest complete backup stands: 1, with file and GTIDs (shortened to 200 characters). of: whose log it is, that of the server that was backed up or of its source.',
    ['type', 'file', 'gtid', 'of'],
    state,
  ),
  binlogPosition: gauge(
    'backup_binlog_position_bytes',
    'The offset in the binary log file at which the newest complete backup stands.',
    ['type'],
    state,
  ),
  keeping: gauge(
    'backup_verify_memory_state',
    'Whether the results of reading are kept over a restart: one series per state, 1 for the present one. failed: state_file cannot be written or read; off: there is none.',
    ['state'],
  ),
} as const;
