import type { MaxwellPosition } from '../../../exporter/systems/maxwell/facts-position.ts';
import { asJson } from '../../canonical.ts';
import type { Look } from '../../action.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Json } from '../../model.ts';
import type { World } from '../../world.ts';
import { memoryOnce, memoryVerdict } from '../service/capture.ts';
import { serviceOwner } from '../service/owner.ts';
import { busVerdict, startedVerdict } from '../service/verdicts.ts';
import { adviceFor } from './advice.ts';
import type { Before } from './before.ts';
import { classify } from './classify.ts';
import { readFacts, type MaxwellFacts } from './facts.ts';
import { observersOf } from './observers.ts';

export interface LookParams {
  readonly mysqlUser: string;
  readonly sourceUpSeconds: number;
  readonly startingSeconds: number;
}

/** A heartbeat may be written just before the end and its time be of another clock than the supervisor's. */
const ownerSlackMs = 3_000;

export async function lookAt(
  target: string,
  params: LookParams,
  world: World,
  signal: AbortSignal,
): Promise<Look<Before>> {
  const facts = await readFacts(target, params.mysqlUser, world, signal);
  const found = classify(facts.service, facts.log, {
    sourceUpSeconds: facts.source.known
      ? { known: true, value: facts.source.value.uptimeSeconds, observedAtMs: facts.source.observedAtMs }
      : facts.source,
    wantedSeconds: params.sourceUpSeconds,
  });
  const errorClass =
    found.code === 'memory' ? await memoryVerdict(target, world.evidenceDir, world.clock.wallMs()) : found;
  return {
    alreadyFixed: alreadyFixed(facts),
    preconditions: {
      error_class: errorClass,
      started: startedVerdict(facts.service, params.startingSeconds, world.clock.wallMs()),
      ...preconditions(facts),
    },
    owner: serviceOwner(facts.service),
    observers: observersOf(facts),
    // No progressMark: a start that failed for a passing trouble (Kafka was away for a moment) has moved nothing, and is
    // tried again within the budget.
    evidence: evidenceOf(facts, errorClass),
    ...(errorClass.code === 'memory' ? { once: memoryOnce } : {}),
    seen: seenOf(facts, errorClass),
    before: beforeOf(target, facts, errorClass.code === 'memory', world.clock.wallMs()),
    advice: adviceFor(target, facts),
  };
}

function alreadyFixed({ health, service }: MaxwellFacts): Verdict {
  const inputs = { state: health.state };
  switch (health.state) {
    case 'running':
      return deny('healthy', health.why, inputs);
    case 'unknown':
      return unsure('state_unknown', health.why, inputs);
    case 'down':
    case 'stalled':
    case 'position_lost':
      return service.known
        ? allow(health.state, health.why, inputs)
        : unsure('supervisor_unknown', service.why, inputs);
  }
}

export function preconditions(facts: MaxwellFacts): Record<string, Verdict> {
  const { position, health, bootstraps, dumpThreads, rows, kafka } = facts;
  return {
    position: !position.known
      ? unsure('position_unknown', position.why)
      : position.value.found
        ? allow('position', placeOf(position.value))
        : deny('position_missing', `${position.value.why}: a start would begin somewhere else and leave a gap`),
    binlog: !health.purge.known
      ? unsure('binlog_unknown', health.purge.why)
      : health.purge.value.lost
        ? deny('binlog_purged', health.purge.value.why)
        : allow('binlog_there', health.purge.value.why),
    kafka: busVerdict(kafka),
    bootstrap: !bootstraps.known
      ? unsure('bootstrap_unknown', bootstraps.why)
      : bootstraps.value.length > 0
        ? deny(
            'bootstrap_running',
            `a restart would begin it anew: ${bootstraps.value.map((b) => `${b.database}.${b.table}`).join(', ')}`,
          )
        : allow('no_bootstrap', 'no bootstrap runs'),
    dump_threads: dumpThreads.known
      ? allow('known', `${dumpThreads.value.length} connections of its user read the binary log`)
      : unsure('dump_threads_unknown', dumpThreads.why),
    owner: ownerVerdict(facts),
    copy: rows.known ? allow('rows', 'its rows can be copied') : unsure('rows_unknown', rows.why),
  };
}

/** Down by its supervisor, and yet heartbeats go on: another Maxwell works under the same client id. */
function ownerVerdict({ service, position }: MaxwellFacts): Verdict {
  if (!service.known || !position.known || !position.value.found) return allow('not_asked', 'see the other conditions');
  const { running, last } = service.value;
  const { heartbeatMs } = position.value;
  if (running !== null || last === null || !heartbeatMs.known) return allow('sole', 'no sign of a second one');
  const inputs = { heartbeatMs: heartbeatMs.value, endedAtMs: last.endedAtMs };
  if (heartbeatMs.value > last.endedAtMs + ownerSlackMs) {
    return deny('second_owner', 'heartbeats go on after its end: another Maxwell runs with its client id', inputs);
  }
  return allow('sole', 'no heartbeat since its end', inputs);
}

/** What decides, and nothing that moves by itself: it is compared between the decision and the run. */
function evidenceOf({ service, health, position }: MaxwellFacts, errorClass: Verdict): Json {
  return {
    running: service.known ? (service.value.running?.id ?? null) : 'unknown',
    last: service.known ? (service.value.last?.incarnation.id ?? null) : 'unknown',
    state: health.state,
    class: errorClass.code,
    file: position.known && position.value.found ? position.value.binlogFile : null,
  };
}

function seenOf(facts: MaxwellFacts, errorClass: Verdict): Json {
  const { log, ...rest } = facts;
  const tail = log.known ? { ...log, value: { ...log.value, text: log.value.text.slice(-8_000) } } : log;
  return asJson({ ...rest, log: tail, errorClass });
}

function beforeOf(target: string, facts: MaxwellFacts, memory: boolean, wallMs: number): Before | undefined {
  const { service, position, dumpThreads, rows, binlogs, source, kafka, failedMessages, bootstraps } = facts;
  if (!service.known || !position.known || !position.value.found || !dumpThreads.known || !rows.known) return undefined;
  const at = position.value;
  return {
    running: service.value.running,
    last: service.value.last?.incarnation.id ?? null,
    memory,
    dumpIds: dumpThreads.value.map((t) => t.id),
    position: {
      serverId: at.serverId,
      file: at.binlogFile,
      position: at.binlogPosition,
      place: placeOf(at),
      lastReadMs: at.lastHeartbeatReadMs.known ? at.lastHeartbeatReadMs.value : null,
    },
    failedMessages: failedMessages?.known === true ? failedMessages.value : null,
    snapshot: {
      target,
      schema: facts.schema,
      clientId: facts.clientId,
      takenAt: new Date(wallMs).toISOString(),
      rows: asJson({ ...rows.value, schemaId: rows.value.schemaId ?? null }) as unknown as Before['snapshot']['rows'],
      also: asJson({ service, source, binlogs, kafkaEndOffsets: kafka, dumpThreads, bootstraps }),
    },
  };
}

export function placeOf(at: MaxwellPosition): string {
  return [at.serverId, at.binlogFile, at.binlogPosition, at.gtidSet ?? ''].join(' ').trim();
}
