// The parts of a lab and what each needs to have beside it.

export const partNames = [
  'source',
  'replica',
  'kafka',
  'supervisor',
  'maxwell',
  'redis',
  'redisReplica',
  'sink',
  'backup',
  'writer',
  'prometheus',
  'alertmanager',
  'exporter',
  'remediator',
] as const;
export type PartName = (typeof partNames)[number];

/** Everything that pipemedic watches, and none of pipemedic itself. */
export const pipelineParts: readonly PartName[] = [
  'source',
  'replica',
  'kafka',
  'maxwell',
  'redis',
  'redisReplica',
  'sink',
  'backup',
  'writer',
];

const needs: Readonly<Record<PartName, readonly PartName[]>> = {
  source: [],
  replica: ['source'],
  kafka: [],
  supervisor: [],
  maxwell: ['source', 'kafka', 'supervisor'],
  redis: [],
  redisReplica: ['redis'],
  sink: ['kafka', 'redis'],
  backup: ['source'],
  writer: ['source'],
  prometheus: [],
  alertmanager: [],
  exporter: [],
  remediator: [],
};

/** With what they need, in the order of partNames. */
export function withNeeds(wanted: readonly PartName[], supervisor: boolean): readonly PartName[] {
  const all = new Set<PartName>();
  const take = (name: PartName): void => {
    if (all.has(name) || (name === 'supervisor' && !supervisor)) return;
    all.add(name);
    needs[name].forEach(take);
  };
  wanted.forEach(take);
  return partNames.filter((name) => all.has(name));
}

export function isPartName(text: string): text is PartName {
  return (partNames as readonly string[]).includes(text);
}
