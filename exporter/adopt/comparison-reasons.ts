// A comparison with a number: what is never true here, and what is absent where others say 0 or -1.
import { aggregateName, textOf, type Expression, type SyntaxNode } from '../promql.ts';
import { isTaken, knownOf } from './knowledge.ts';
import { selectorNames } from './names.ts';
import type { Reason } from './verdict.ts';

/** Families that say -1 elsewhere and are absent here (exporter/README.md), and what to do about it. */
const sentinels: ReadonlyMap<string, string> = new Map([
  ...['kafka_consumergroup_lag', 'kafka_consumergroup_lag_sum'].map(
    (name) => [name, 'write kafka_consumergroup_uncommitted_partitions > 0'] as const,
  ),
  ...['jvm_memory_max_bytes', 'jvm_memory_bytes_max', 'jvm_memory_pool_max_bytes', 'jvm_memory_pool_bytes_max'].map(
    (name) => [name, 'leave it out: a maximum that does not exist has no sample'] as const,
  ),
]);

const flipped: Readonly<Record<string, string>> = { '<': '>', '>': '<', '<=': '>=', '>=': '<=' };

export function comparisonReasons(expression: Expression, left: SyntaxNode, right: SyntaxNode): Reason[] {
  const operator = expression.text
    .slice(left.to, right.from)
    .replaceAll(/#[^\n]*/g, '')
    .trim();
  const written = /^(==|!=|<=|>=|<|>)/.exec(operator)?.[0];
  if (written === undefined) return [];
  const [number, side, op] = isNumber(expression, right)
    ? [numberOf(expression, right), left, written]
    : [numberOf(expression, left), right, flipped[written] ?? written];
  if (number === undefined) return [];
  const holds = (value: number): boolean =>
    ({ '==': value === number, '<': value < number, '<=': value <= number })[op] ?? false;
  const reasons: Reason[] = [];
  const names = selectorNames(expression, side);
  for (const name of names) {
    const sentinel = sentinels.get(name);
    if (sentinel === undefined || !holds(-1) || holds(0)) continue;
    reasons.push({
      verdict: 'breaks',
      metric: name,
      text: `${op} ${number} is never true: where others say -1 for unknown, ${name} is absent`,
      fix: sentinel,
    });
  }
  if (!holds(0) && !(op === '!=' && number === 1)) return reasons;
  const aggregate = outermost(side);
  if (!holds(1) && aggregate?.name === 'AggregateExpr' && aggregateName(expression, aggregate) === 'count') {
    reasons.push({ verdict: 'note', text: `count(…) ${op} ${number} is never true: nothing to count gives no result` });
  }
  for (const name of names) {
    const known = knownOf(name);
    if (!isTaken(known) || known.state === undefined || known.state === 'pipemedic_collector_success') continue;
    reasons.push({
      verdict: 'note',
      metric: name,
      text: `${name} is absent, not 0, while it is unknown: ${known.state} says so and why`,
    });
  }
  return reasons;
}

function outermost(node: SyntaxNode): SyntaxNode | null {
  let inner: SyntaxNode | null = node;
  while (inner?.name === 'ParenExpr') inner = inner.firstChild;
  return inner;
}

function isNumber(expression: Expression, node: SyntaxNode): boolean {
  return numberOf(expression, node) !== undefined;
}

function numberOf(expression: Expression, node: SyntaxNode): number | undefined {
  const inner = node.name === 'UnaryExpr' ? (node.lastChild ?? node) : node;
  if (inner.name !== 'NumberDurationLiteral') return undefined;
  const value = Number(textOf(expression, node).replaceAll(/\s+/g, ''));
  return Number.isNaN(value) ? undefined : value;
}
