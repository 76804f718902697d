// A dashboard as data: what is shown and by which query. How it looks is render.ts, which queries must have data queries.ts.

export interface Query {
  readonly expr: string;
  readonly legend: string;
  /** Why a healthy pipeline may have no data here. Without it, no data is a fault of the dashboard. */
  readonly emptyWhen?: string;
}

export interface State {
  readonly text: string;
  readonly color: 'green' | 'yellow' | 'orange' | 'red' | 'purple' | 'text';
}

interface Common {
  readonly title: string;
  /** Says what it means and which alert belongs to it. */
  readonly description: string;
  readonly queries: readonly Query[];
  /** Of 24 columns. */
  readonly width: 6 | 8 | 12 | 24;
}

export type Panel =
  | (Common & { readonly kind: 'lines'; readonly unit: string; readonly isStacked?: boolean; readonly max?: number })
  | (Common & { readonly kind: 'number'; readonly unit: string; readonly redFrom?: number })
  /** Numbers that stand for states, over time. */
  | (Common & { readonly kind: 'states'; readonly states: Readonly<Record<number, State>> })
  | (Common & { readonly kind: 'table' });

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export const ofTarget = 'target=~"$target"';
/** For kinds that are members of no pipeline: the variable does not list them. */
export const ofAny = 'target!=""';
export const ofPipeline = 'pipeline=~"$pipeline"';

interface StateSet {
  readonly metric: string;
  /** What one line of the panel is about. */
  readonly by: readonly string[];
  readonly matcher: string;
  readonly states: readonly (readonly [state: string, color: State['color']])[];
}

/** One number per object out of one series per state: its place in the list, from 0. */
function stateQuery({ metric, by, matcher, states }: StateSet): string {
  const each = states.map(([state], place) => `${metric}{state="${state}",${matcher}} * ${place}`);
  return `max by (${by.join(', ')}) (${each.join(' or ')})`;
}

function stateColors({ states }: StateSet): Readonly<Record<number, State>> {
  return Object.fromEntries(states.map(([text, color], place) => [place, { text: text.replaceAll('_', ' '), color }]));
}

export function statesPanel(
  set: StateSet,
  rest: Pick<Common, 'title' | 'description' | 'width'> & { readonly emptyWhen?: string },
): Panel {
  const { emptyWhen, ...common } = rest;
  return {
    kind: 'states',
    ...common,
    states: stateColors(set),
    queries: [
      {
        expr: stateQuery(set),
        legend: set.by.map((label) => `{{${label}}}`).join(' '),
        ...(emptyWhen === undefined ? {} : { emptyWhen }),
      },
    ],
  };
}

/** The limits of the inventory, drawn beside what they limit. */
export function limitQuery(threshold: string, matcher: string = ofTarget): Query {
  return {
    expr: `max by (target, severity, consumergroup) (pipemedic_threshold{threshold="${threshold}",${matcher}}) < Inf`,
    legend: 'limit {{target}} {{consumergroup}} {{severity}}',
    emptyWhen: 'no limit of its own is set in the inventory: the rules use their default',
  };
}
