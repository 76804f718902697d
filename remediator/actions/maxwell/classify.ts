// What the end of a Maxwell, or its state while it lives, says about a restart. Pure. Texts and codes as seen on 1.44.1.
import type { Known } from '../../../exporter/runtime/known.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { ServiceEnd, ServiceIncarnation, ServiceLog, ServiceState } from '../../supervisors/supervisor.ts';
import { endVerdict } from '../service/verdicts.ts';

export interface Surroundings {
  /** How long the source has been up. */
  readonly sourceUpSeconds: Known<number>;
  /** How long it must have been, after Maxwell has lost it. */
  readonly wantedSeconds: number;
}

/** Codes of classes that no restart can mend, now or later. */
export const neverCodes: ReadonlySet<string> = new Set([
  'access_denied',
  'bad_options',
  'schema_lost',
  'binlog_purged',
  'second_owner',
  'unknown_exit_2',
]);

export function classify(service: Known<ServiceState>, log: Known<ServiceLog>, around: Surroundings): Verdict {
  if (!service.known) return unsure('supervisor_unknown', service.why);
  const { running, processState, orphan, last } = service.value;
  if (orphan) return deny('orphan', 'a process of a former supervisor lives on: end it first');
  if (running !== null) return classifyRunning(running, processState, log, around);
  if (last === null) return deny('never_ran', 'it has never run under its supervisor: the first start is a person’s');
  return classifyEnd(last, log, around);
}

/** How a life ended. */
export function classifyEnd(last: ServiceEnd, log: Known<ServiceLog>, around: Surroundings): Verdict {
  const end = endVerdict(last);
  if (end.is !== 'exited') return end;
  const { exitCode, signal, inputs } = end;
  // The JVM's exit code after SIGTERM is 143; the marker says that it has ended in order.
  if (exitCode === 143 || signal === 'SIGTERM') {
    return deny('stopped_on_purpose', 'somebody has stopped it with SIGTERM', inputs);
  }
  if (!log.known) return unsure('log_unknown', `what it wrote last cannot be read: ${log.why}`, inputs);
  const says = (marker: string): boolean => log.value.text.includes(marker);
  if (says('OutOfMemoryError')) return deny('memory', 'its heap was too small: a restart only repeats that', inputs);
  if (signal === 'SIGKILL' || exitCode === 137) return allow('killed', 'it was killed', inputs);
  // 2 stands for a lost position; a 1.44.1 whose HTTP server is not up yet ends with 1 all the same (seen)
  const lost = exitCode === 1 || exitCode === 2 ? lostPosition(says, inputs) : undefined;
  if (lost !== undefined) return lost;
  if (exitCode === 1) return classifyOne(says, around, inputs);
  if (exitCode === 2) {
    const why = 'it ended with code 2, which stands for a lost position, without a known reason';
    return deny('unknown_exit_2', why, inputs);
  }
  return deny(
    'unknown_end',
    `it ended with ${signal ?? `code ${exitCode ?? 'unknown'}`}, which is of no known class`,
    inputs,
  );
}

function classifyOne(says: (marker: string) => boolean, around: Surroundings, inputs: Verdict['inputs']): Verdict {
  const never: readonly (readonly [marker: string, code: string, because: string])[] = [
    ['Access denied for user', 'access_denied', 'MySQL does not accept its password'],
    [
      "Couldn't find database",
      'schema_lost',
      'its stored schema does not fit the position: --recapture_schema mends that',
    ],
    ['is not a recognized option', 'bad_options', 'it does not know one of its options'],
    // A line of its help, which it prints when an option is missing. Not `Usage: `: each start logs `bufferMemoryUsage: 0.25`
    ['--help [String]', 'bad_options', 'it does not accept its options'],
  ];
  for (const [marker, code, because] of never) if (says(marker)) return deny(code, because, { ...inputs, marker });
  for (const marker of ['Communications link failure', 'Maximum reconnection attempts']) {
    if (says(marker)) return afterSourceLoss(around, { ...inputs, marker });
  }
  for (const marker of ['Expiring ', 'org.apache.kafka.common.errors.TimeoutException']) {
    if (says(marker)) return allow('kafka_lost', 'Kafka did not take what it sent', { ...inputs, marker });
  }
  return deny('unknown_error', 'it ended with code 1 for a reason that is of no known class', inputs);
}

function lostPosition(says: (marker: string) => boolean, inputs: Verdict['inputs']): Verdict | undefined {
  if (says('server_uuid/server_id')) {
    return deny(
      'second_owner',
      'another reader with the same server id has taken its place: a restart would end that one',
      inputs,
    );
  }
  const lost = [
    'Could not find first log file name in binary log index file',
    'start replication from position > file size',
    'binlog truncated in the middle of event',
    'purged required binary logs',
    "couldn't find the requested binlog",
  ].find(says);
  if (lost === undefined) return undefined;
  return deny('binlog_purged', `its position is no longer on the source: ${lost}`, { ...inputs, marker: lost });
}

function classifyRunning(
  running: ServiceIncarnation,
  processState: Known<string>,
  log: Known<ServiceLog>,
  around: Surroundings,
): Verdict {
  const inputs = { pid: running.pid };
  if (!processState.known) return unsure('process_state_unknown', processState.why, inputs);
  if (processState.value === 'T' || processState.value === 't') {
    return deny('held', 'somebody holds its process with SIGSTOP or a debugger', {
      ...inputs,
      state: processState.value,
    });
  }
  if (!log.known) return unsure('log_unknown', `what it writes cannot be read: ${log.why}`, inputs);
  if (log.value.text.includes('OutOfMemoryError')) {
    return deny('memory', 'its heap is too small: a restart only repeats that', inputs);
  }
  const lines = log.value.text.trimEnd().split('\n').slice(-20);
  if (lines.some((line) => line.includes('Reconnection attempt'))) {
    return afterSourceLoss(around, { ...inputs, marker: 'Reconnection attempt' });
  }
  return allow('alive', 'its process lives', inputs);
}

function afterSourceLoss({ sourceUpSeconds: up, wantedSeconds }: Surroundings, inputs: Verdict['inputs']): Verdict {
  if (!up.known) return unsure('source_unknown', `whether the source is up is not known: ${up.why}`, inputs);
  const told = { ...inputs, sourceUpSeconds: up.value, wantedSeconds };
  if (up.value < wantedSeconds) {
    return unsure('source_settling', `it lost the source, which has been up for ${up.value} s only`, told);
  }
  return allow('source_lost', 'it lost the source, which is up again', told);
}
