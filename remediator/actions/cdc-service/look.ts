import type { Look } from '../../action.ts';
import { asJson } from '../../canonical.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { Json } from '../../model.ts';
import type { World } from '../../world.ts';
import { memoryOnce, memoryVerdict } from '../service/capture.ts';
import { serviceOwner } from '../service/owner.ts';
import type { ServiceBefore } from '../service/started.ts';
import { busVerdict, startedVerdict } from '../service/verdicts.ts';
import { classify } from './classify.ts';
import { readFacts, type CdcFacts } from './facts.ts';

/** Frozen under the claim; goes through the journal as JSON. */
export interface CdcBefore extends ServiceBefore {
  /** For people: there is nothing of its own to put back. */
  readonly seen: Json;
}

export async function lookAt(
  target: string,
  { startingSeconds }: { readonly startingSeconds: number },
  world: World,
  signal: AbortSignal,
): Promise<Look<CdcBefore>> {
  const facts = await readFacts(target, world, signal);
  const { service, health } = facts;
  const found = classify(service, facts.log);
  const errorClass =
    found.code === 'memory' ? await memoryVerdict(target, world.evidenceDir, world.clock.wallMs()) : found;
  const seen = seenOf(facts, errorClass);
  return {
    alreadyFixed: alreadyFixed(facts),
    preconditions: {
      error_class: errorClass,
      started: startedVerdict(service, startingSeconds, world.clock.wallMs()),
      source: sourceVerdict(facts),
      kafka: busVerdict(facts.kafka),
      owner: soleVerdict(facts),
    },
    owner: serviceOwner(service),
    observers: observersOf(facts),
    ...(errorClass.code === 'memory' ? { once: memoryOnce } : {}),
    evidence: {
      running: service.known ? (service.value.running?.id ?? null) : 'unknown',
      last: service.known ? (service.value.last?.incarnation.id ?? null) : 'unknown',
      state: health.state,
      class: errorClass.code,
    },
    seen,
    before: service.known
      ? {
          running: service.value.running,
          last: service.value.last?.incarnation.id ?? null,
          memory: errorClass.code === 'memory',
          seen,
        }
      : undefined,
    advice: [],
  };
}

function alreadyFixed({ health, service }: CdcFacts): Verdict {
  const inputs = { state: health.state };
  switch (health.state) {
    case 'running':
      return deny('healthy', health.why, inputs);
    case 'unknown':
      return unsure('state_unknown', health.why, inputs);
    case 'down':
    case 'stalled':
      return service.known
        ? allow(health.state, health.why, inputs)
        : unsure('supervisor_unknown', service.why, inputs);
  }
}

/**
 * Its supervisor at the process, its own addresses, its position (or lag), and the binary log of its source. That it says
 * of itself that it works is no sign that it does, nor that its process lives; that it reads is.
 */
export function observersOf({
  service,
  reading,
  health,
}: Pick<CdcFacts, 'service' | 'reading' | 'health'>): NonNullable<Look<unknown>['observers']> {
  const { process, port, works } = reading;
  const isGone = service.known && service.value.running === null;
  const isDead = process.known && process.value === 'gone';
  const isMute = port.known && !port.value;
  const saysNo = works.known && !works.value;
  // of one that is gone nobody sees it read, and what it was seen to read before shows nothing
  const flow = isGone || isDead ? 'unknown' : health.layers.data_flow;
  return [
    { by: 'supervisor', says: isGone ? 'broken' : 'unknown' },
    { by: 'its addresses', says: isDead || isMute || saysNo ? 'broken' : 'unknown' },
    { by: 'its position', says: flow === 'failed' ? 'broken' : flow === 'ok' ? 'healthy' : 'unknown' },
    { by: 'source', says: flow === 'failed' ? 'broken' : 'unknown' },
  ];
}

function sourceVerdict({ source }: CdcFacts): Verdict {
  if (source === undefined) return allow('no_source', 'its source is not in the inventory');
  return source.known
    ? allow('source_answers', `its source is at ${source.value}`)
    : unsure('source_unknown', source.why);
}

/** Down by its supervisor, and yet somebody answers at its addresses: another one works in its place. */
function soleVerdict({ service, reading }: CdcFacts): Verdict {
  if (!service.known || service.value.running !== null) return allow('not_asked', 'see the other conditions');
  const { process } = reading;
  if (!process.known) return unsure('addresses_unknown', process.why);
  if (process.value === 'alive') {
    return deny('second_owner', 'it is down by its supervisor, and yet somebody answers at its addresses');
  }
  return allow('sole', 'nobody answers at its addresses');
}

function seenOf(facts: CdcFacts, errorClass: Verdict): Json {
  const { log, ...rest } = facts;
  const tail = log.known ? { ...log, value: { ...log.value, text: log.value.text.slice(-8_000) } } : log;
  return asJson({ ...rest, log: tail, errorClass });
}
