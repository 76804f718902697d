// Which windows and labels an expression has: what the rules are checked for. promtool judges whether it is right.
import { durationMs } from '../exporter/fields.ts';
import {
  aggregateName,
  children,
  descendants,
  functionName,
  isOperand,
  selectorAt,
  textOf,
  unquote,
  type Expression,
  type SyntaxNode,
} from '../exporter/promql.ts';

/** Every range, as written: `[5m]` is 300000. Offsets are none. */
export function windowsMs(expression: Expression): number[] {
  return ['MatrixSelector', 'SubqueryExpr'].flatMap((name) =>
    descendants(expression.root, name).map((node) => {
      const range = node.getChild('DurationExpr');
      if (range === null) throw new Error(`a range without a duration: ${textOf(expression, node)}`);
      return durationMs.parse(textOf(expression, range));
    }),
  );
}

export interface Grouping {
  readonly kind: 'by' | 'without' | 'on' | 'ignoring' | 'group_left' | 'group_right' | 'label_replace source';
  readonly labels: readonly string[];
  /** What the labels are taken from: one side for an aggregation, both for a matching. */
  readonly operands: readonly ReadonlySet<string>[];
}

export interface Analysis {
  /** Labels that the result may carry. */
  readonly labels: ReadonlySet<string>;
  readonly groupings: readonly Grouping[];
}

/** `labelsOf` says which labels the series of a metric may carry. */
export function analyse(expression: Expression, labelsOf: (metric: string) => ReadonlySet<string>): Analysis {
  const groupings: Grouping[] = [];
  const names = (node: SyntaxNode | null): string[] =>
    node === null ? [] : descendants(node, 'LabelName').map((n) => textOf(expression, n));

  const walk = (node: SyntaxNode): ReadonlySet<string> => {
    switch (node.name) {
      case 'VectorSelector':
        return labelsOf(selectorAt(expression, node).metric);
      case 'AggregateExpr':
        return aggregate(node);
      case 'BinaryExpr':
        return binary(node);
      case 'FunctionCall':
        return call(node);
      case 'NumberDurationLiteral':
      case 'StringLiteral':
        return new Set();
      default: {
        // ParenExpr, UnaryExpr, MatrixSelector, SubqueryExpr, OffsetExpr…: the operand is the first child that is one
        const operand = children(node).find((child) => isOperand(child));
        if (operand === undefined) throw new Error(`cannot tell the labels of ${node.name}`);
        return walk(operand);
      }
    }
  };

  const aggregate = (node: SyntaxNode): ReadonlySet<string> => {
    const operands = children(node.getChild('FunctionCallBody') ?? node).filter((child) => isOperand(child));
    const input = walk(last(operands));
    const name = aggregateName(expression, node);
    const modifier = node.getChild('AggregateModifier');
    const labels = names(modifier);
    const without = modifier?.getChild('Without') != null;
    if (modifier !== null) groupings.push({ kind: without ? 'without' : 'by', labels, operands: [input] });
    // these pick series instead of making new ones
    if (name === 'topk' || name === 'bottomk') return input;
    if (modifier === null) return new Set();
    return without ? difference(input, labels) : new Set(labels.filter((label) => input.has(label)));
  };

  const binary = (node: SyntaxNode): ReadonlySet<string> => {
    const [left, right] = children(node).filter((child) => isOperand(child));
    if (left === undefined || right === undefined) throw new Error('a binary operator has two operands');
    const [a, b] = [walk(left), walk(right)];
    const clause = node.getChild('MatchingModifierClause');
    const lists = clause === null ? [] : children(clause).filter((child) => child.name === 'GroupingLabels');
    const matching = names(
      clause?.getChild('On') != null || clause?.getChild('Ignoring') != null ? (lists[0] ?? null) : null,
    );
    const on = clause?.getChild('On') != null;
    if (on) groupings.push({ kind: 'on', labels: matching, operands: [a, b] });
    else if (clause?.getChild('Ignoring') != null)
      groupings.push({ kind: 'ignoring', labels: matching, operands: [a, b] });
    if (node.getChild('Or') !== null) return new Set([...a, ...b]);
    if (node.getChild('And') !== null || node.getChild('Unless') !== null) return a;
    if (isScalar(left)) return b;
    if (isScalar(right)) return a;
    const included = names(lists[1] ?? null);
    if (clause?.getChild('GroupLeft') != null) {
      groupings.push({ kind: 'group_left', labels: included, operands: [b] });
      return new Set([...a, ...included]);
    }
    if (clause?.getChild('GroupRight') != null) {
      groupings.push({ kind: 'group_right', labels: included, operands: [a] });
      return new Set([...b, ...included]);
    }
    if (on) return new Set(matching.filter((label) => a.has(label)));
    return new Set([...a].filter((label) => b.has(label) && !matching.includes(label)));
  };

  const isScalar = (node: SyntaxNode): boolean => {
    if (node.name === 'NumberDurationLiteral') return true;
    if (node.name === 'FunctionCall') return ['time', 'scalar', 'pi'].includes(functionName(expression, node));
    if (node.name === 'BinaryExpr' || node.name === 'ParenExpr' || node.name === 'UnaryExpr') {
      const operands = children(node).filter((child) => isOperand(child));
      return operands.length > 0 && operands.every((operand) => isScalar(operand));
    }
    return false;
  };

  const call = (node: SyntaxNode): ReadonlySet<string> => {
    const name = functionName(expression, node);
    const operands = children(node.getChild('FunctionCallBody') ?? node).filter((child) => isOperand(child));
    if (['time', 'vector', 'pi', 'scalar'].includes(name)) return new Set();
    if (name === 'absent' || name === 'absent_over_time') {
      const [selector] = descendants(node, 'VectorSelector');
      if (selector === undefined) return new Set();
      return new Set(
        selectorAt(expression, selector)
          .matchers.filter((m) => m.op === '=')
          .map((m) => m.label),
      );
    }
    const input = walk(operands.find((operand) => operand.name !== 'NumberDurationLiteral') ?? last(operands));
    if (name !== 'label_replace') return input;
    const literals = operands
      .filter((operand) => operand.name === 'StringLiteral')
      .map((operand) => unquote(textOf(expression, operand)));
    const [destination = '', , source = ''] = literals;
    if (source !== '') groupings.push({ kind: 'label_replace source', labels: [source], operands: [input] });
    return new Set([...input, destination]);
  };

  return { labels: walk(last(children(expression.root).filter((child) => isOperand(child)))), groupings };
}

function difference(set: ReadonlySet<string>, without: readonly string[]): ReadonlySet<string> {
  return new Set([...set].filter((item) => !without.includes(item)));
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new Error('an operand is missing');
  return item;
}
