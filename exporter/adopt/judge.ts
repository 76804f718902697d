// One expression: its selectors, and how they are put together.
import {
  aggregateName,
  children,
  descendants,
  functionName,
  isOperand,
  parsePromql,
  selectorAt,
  textOf,
  unquote,
  type Expression,
  type SyntaxNode,
} from '../promql.ts';
import { messageOf } from '../runtime/errors.ts';
import { comparisonReasons } from './comparison-reasons.ts';
import { isTaken, knownOf, type Known } from './knowledge.ts';
import { selectorNames } from './names.ts';
import { missingLabel, selectorReasons } from './selector-reasons.ts';
import type { Setting } from './setting.ts';
import { aliasOf } from './aliases.ts';
import { variableName } from './template.ts';
import { crossed, distinct, forSd, isServed, keep, worst, type Reason } from './verdict.ts';

export interface Judgement {
  readonly reasons: readonly Reason[];
  /** Names that it reads, each once. */
  readonly metrics: readonly string[];
}

/** Never throws: what cannot be read is a verdict too. */
export function judge(promql: string, setting: Setting): Judgement {
  let expression: Expression;
  try {
    // Prometheus 3 has another name for it (https://prometheus.io/docs/prometheus/latest/migration/)
    expression = parsePromql(promql.replaceAll(/\bholt_winters(?=\s*\()/g, 'double_exponential_smoothing'));
  } catch (error) {
    const message = messageOf(error)
      .replaceAll(/\s+/g, ' ')
      .replace(/ at (character \d+): ?$/, ' at its end ($1): something is not closed, or missing');
    return { reasons: [{ verdict: 'unclear', text: message }], metrics: [] };
  }
  const metrics = selectorNames(expression, expression.root);
  return { reasons: distinct(reasonsOf(expression, expression.root, setting)), metrics };
}

/** Names that it reads; none when it cannot be read. */
export function metricsOf(promql: string): readonly string[] {
  try {
    const expression = parsePromql(promql);
    return selectorNames(expression, expression.root);
  } catch {
    return [];
  }
}

function reasonsOf(expression: Expression, node: SyntaxNode, setting: Setting): Reason[] {
  if (node.name === 'VectorSelector') return selectorReasons(selectorAt(expression, node), setting);
  if (node.name === 'BinaryExpr') return binaryReasons(expression, node, setting);
  const below = children(node).flatMap((child) => reasonsOf(expression, child, setting));
  if (node.name === 'AggregateExpr') return [...below, ...aggregateReasons(expression, node, setting)];
  if (node.name === 'FunctionCall') return [...below, ...callReasons(expression, node, setting)];
  return below;
}

function labelsIn(expression: Expression, node: SyntaxNode | null): string[] {
  return node === null ? [] : descendants(node, 'LabelName').map((label) => textOf(expression, label));
}

/** Names under a node that pipemedic serves about targets. */
function targetNames(
  expression: Expression,
  node: SyntaxNode,
  setting: Setting,
): (Known & { readonly is: 'served' })[] {
  return selectorNames(expression, node)
    .flatMap((name) => setting.sourcesOf(name))
    .map(knownOf)
    .filter((known) => isTaken(known) && known.level === 'target') as (Known & { readonly is: 'served' })[];
}

function binaryReasons(expression: Expression, node: SyntaxNode, setting: Setting): Reason[] {
  const [left, right] = children(node).filter((child) => isOperand(child));
  if (left === undefined || right === undefined) return [];
  const [a, b] = [reasonsOf(expression, left, setting), reasonsOf(expression, right, setting)];
  if (node.getChild('Or') !== null) return alternatives(expression, [left, right], [a, b]);
  return [
    ...a,
    ...b,
    ...matchingReasons(expression, node, [left, right], setting),
    ...comparisonReasons(expression, left, right),
  ];
}

/** `old_name or new_name`: one side is enough. `a > 1 or b > 2` says two things, and `x or vector(0)` one without data. */
function alternatives(
  expression: Expression,
  [left, right]: readonly [SyntaxNode, SyntaxNode],
  [a, b]: readonly [readonly Reason[], readonly Reason[]],
): Reason[] {
  const isEither = [left, right].every((side) => comparisons.some((name) => descendants(side, name).length > 0));
  const isEnough = (served: SyntaxNode, other: readonly Reason[]): boolean => {
    const names = selectorNames(expression, served).filter((name) => knownOf(name).is === 'served');
    if (!isEither) return names.length > 0;
    return other.every(({ verdict, metric }) => {
      if (verdict !== 'renamed' && verdict !== 'not_served' && verdict !== 'off') return true;
      const alias = metric === undefined ? undefined : aliasOf.get(metric);
      return alias !== undefined && metricsOf(alias.instead).some((name) => names.includes(name));
    });
  };
  const spare = (reasons: readonly Reason[]): Reason[] =>
    reasons.map((reason) =>
      reason.verdict === 'renamed' || reason.verdict === 'not_served' || reason.verdict === 'off'
        ? { verdict: 'note', text: `${reason.text}; the other side of \`or\` is served` }
        : reason,
    );
  const hasData = (reasons: readonly Reason[]): boolean => isServed(worst(reasons)) || worst(reasons) === 'breaks';
  if (hasData(a) && !hasData(b) && isEnough(left, b)) return [...a, ...spare(b)];
  if (hasData(b) && !hasData(a) && isEnough(right, a)) return [...spare(a), ...b];
  return [...a, ...b];
}

const comparisons = ['Eql', 'Neq', 'Gtr', 'Lss', 'Gte', 'Lte'];

function matchingReasons(
  expression: Expression,
  node: SyntaxNode,
  [left, right]: readonly [SyntaxNode, SyntaxNode],
  setting: Setting,
): Reason[] {
  const sides = [targetNames(expression, left, setting), targetNames(expression, right, setting)];
  const clause = node.getChild('MatchingModifierClause');
  const lists = clause === null ? [] : children(clause).filter((child) => child.name === 'GroupingLabels');
  const labels = labelsIn(expression, lists[0] ?? null);
  const written = clause === null ? '' : textOf(expression, clause).replaceAll(/\s+/g, ' ');
  if (clause?.getChild('On') != null) {
    if (!labels.includes('instance') || labels.includes('target') || sides.every((side) => side.length === 0))
      return [];
    const isSet = ['And', 'Unless', 'Or'].some((name) => node.getChild(name) !== null);
    const effect = isSet ? 'it would join one target with another' : 'it would be an error for all targets';
    const reasons: Reason[] = [{ verdict: 'raw', text: `${written}: ${crossed}; ${effect}`, fix: keep }];
    const foreign = [left, right].map((side) =>
      selectorNames(expression, side)
        .flatMap((name) => setting.sourcesOf(name))
        .filter((name) => !isOurs(name)),
    );
    for (const [i, names] of foreign.entries()) {
      const served = sides[1 - i] ?? [];
      if (names.length === 0 || served.length === 0 || (sides[i] ?? []).length > 0) continue;
      if (names.every((name) => knownOf(name).is === 'prometheus')) {
        reasons.push({
          verdict: 'breaks',
          text: `${written} joins with ${names.join(', ')}, which on /metrics keeps the address of the exporter: it works through /probe only`,
          fix: 'scrape through /probe, or write pipemedic_target_up',
        });
        continue;
      }
      reasons.push({
        verdict: 'note',
        text: `${written} joins with ${names.join(', ')} of another exporter: both must have the same instance`,
        fix: `set instance: at the targets in the inventory to what the other exporter has ${forSd}`,
        metric: names[0] ?? '',
        isNeed: true,
      });
    }
    return reasons;
  }
  if (clause?.getChild('Ignoring') != null && labels.includes('instance') && !labels.includes('target')) {
    if (sides.some((side) => side.length === 0)) return [];
    return [
      {
        verdict: 'breaks',
        text: `${written}: series of pipemedic have the label target too, so those of two targets do not match`,
        fix: 'ignore target too',
      },
    ];
  }
  return [];
}

function isOurs(name: string): boolean {
  return isTaken(knownOf(name));
}

function aggregateReasons(expression: Expression, node: SyntaxNode, setting: Setting): Reason[] {
  const modifier = node.getChild('AggregateModifier');
  if (modifier === null || targetNames(expression, node, setting).length === 0) return [];
  const labels = labelsIn(expression, modifier);
  const written = `${aggregateName(expression, node)} ${textOf(expression, modifier).replaceAll(/\s+/g, ' ')}`;
  if (modifier.getChild('By') !== null) {
    const missing = missingLabels(expression, node, labels, setting);
    if (!labels.includes('instance') || labels.includes('target')) return missing;
    return [{ verdict: 'raw', text: `${written}: ${crossed}, so all of them would be one`, fix: keep }, ...missing];
  }
  if (!labels.includes('instance') || labels.includes('target')) return [];
  // whoever drops `exporter`, as the shipped rules do, has been written for pipemedic's labels
  if (labels.includes('exporter')) return [];
  return [
    {
      verdict: 'breaks',
      text: `${written} leaves the label target, which both doors add: what went over all servers is one for each`,
      fix: 'add target to the list, or write by (…)',
    },
  ];
}

/** `by (namespace)`: a label that no family has comes from the user's scrape configuration. */
function missingLabels(
  expression: Expression,
  node: SyntaxNode,
  labels: readonly string[],
  setting: Setting,
): Reason[] {
  const names = selectorNames(expression, node);
  const known = names.map(knownOf);
  const makesLabels =
    descendants(node, 'FunctionCall').some((call) => /^label_/.test(functionName(expression, call))) ||
    /\bgroup_(left|right)\b|\bcount_values\b/.test(textOf(expression, node));
  if (makesLabels || names.length === 0 || names.some((name) => setting.recorded(name) !== undefined)) return [];
  const own = known.flatMap((one) => (isTaken(one) && one.level === 'target' ? [one.labels] : [undefined]));
  if (own.includes(undefined)) return [];
  return labels
    .filter((label) => !label.includes(variableName) && own.every((list) => list?.includes(label) === false))
    .flatMap((label) => missingLabel(names[0] ?? '', `by (${label})`, label, setting));
}

function callReasons(expression: Expression, node: SyntaxNode, setting: Setting): Reason[] {
  const name = functionName(expression, node);
  if ((name !== 'label_replace' && name !== 'label_join') || targetNames(expression, node, setting).length === 0)
    return [];
  const texts = descendants(node, 'StringLiteral')
    .filter((literal) => literal.parent?.parent?.from === node.from)
    .map((literal) => unquote(textOf(expression, literal)));
  const sources = name === 'label_replace' ? texts.slice(2, 3) : texts.slice(2);
  // a target made of instance, as the shipped rules do, is for other exporters beside pipemedic
  if (!sources.includes('instance') || texts[0] === 'target') return [];
  return [
    {
      verdict: 'raw',
      text: `${name} reads instance: ${crossed}; else it is the name of the target, without a port`,
      fix: `${keep}; set instance: at the target in the inventory if its form matters ${forSd}`,
    },
  ];
}
