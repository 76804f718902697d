// PromQL as a tree: what it reads and how that is put together. Prometheus and promtool judge whether it is right.
import { parser } from '@prometheus-io/lezer-promql';

export type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

export interface Matcher {
  readonly label: string;
  readonly op: string;
  readonly value: string;
}

export interface Selector {
  /** Empty where the selector names none, as `{job="x"}` does. */
  readonly metric: string;
  readonly matchers: readonly Matcher[];
  /** Functions and operators around it, innermost first: how a counter is used. */
  readonly inside: readonly string[];
}

export interface Expression {
  readonly text: string;
  readonly root: SyntaxNode;
}

/** What people write has a dozen levels; whoever walks the tree does so by recursion. */
const maxDepth = 400;

/** Throws where the grammar finds an error, and at nesting that nobody writes. */
export function parsePromql(text: string): Expression {
  const root = parser.parse(text).topNode;
  const cursor = root.cursor();
  let depth = 0;
  for (;;) {
    if (cursor.type.isError) {
      throw new Error(`PromQL syntax error at character ${cursor.from}: ${text.slice(cursor.from, cursor.from + 30)}`);
    }
    if (cursor.firstChild()) {
      depth += 1;
      if (depth > maxDepth) throw new Error(`PromQL nested more than ${maxDepth} levels deep`);
      continue;
    }
    while (!cursor.nextSibling()) {
      if (!cursor.parent()) return { text, root };
      depth -= 1;
    }
  }
}

export function children(node: SyntaxNode): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) found.push(child);
  return found;
}

export function descendants(node: SyntaxNode, name: string): SyntaxNode[] {
  return children(node).flatMap((child) => [...(child.name === name ? [child] : []), ...descendants(child, name)]);
}

export function textOf(expression: Expression, node: SyntaxNode): string {
  return expression.text.slice(node.from, node.to);
}

const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** PromQL strings are Go's (https://go.dev/ref/spec#String_literals). An escape that Go does not know stays as it is. */
export function unquote(literal: string): string {
  const inner = literal.slice(1, -1);
  if (literal.startsWith('`')) return inner;
  return inner.replace(
    /\\(?:([abfnrtv\\'"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(00[01][0-9a-fA-F]{5})|([0-7]{3}))/g,
    (whole, short?: string, hex?: string, four?: string, eight?: string, octal?: string) => {
      if (short !== undefined) return escapes[short] ?? short;
      const code = octal === undefined ? Number.parseInt(hex ?? four ?? eight ?? '', 16) : Number.parseInt(octal, 8);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

export function selectorsOf(expression: Expression): Selector[] {
  return descendants(expression.root, 'VectorSelector').map((node) => selectorAt(expression, node));
}

export function selectorAt(expression: Expression, node: SyntaxNode): Selector {
  const inside: string[] = [];
  for (let up = node.parent; up !== null; up = up.parent) {
    if (up.name === 'FunctionCall') inside.push(functionName(expression, up));
    if (up.name === 'AggregateExpr') inside.push(aggregateName(expression, up));
  }
  const parts = children(node.getChild('LabelMatchers') ?? node);
  const matchers = parts
    .filter(({ name }) => name === 'UnquotedLabelMatcher' || name === 'QuotedLabelMatcher')
    .map((m) => {
      const [label, op, value] = children(m);
      if (label === undefined || op === undefined || value === undefined) throw new Error('a matcher has three parts');
      const written = textOf(expression, label);
      return {
        label: label.name === 'QuotedLabelName' ? unquote(written) : written,
        op: textOf(expression, op),
        value: unquote(textOf(expression, value)),
      };
    });
  const identifier = node.getChild('Identifier');
  const quoted = parts.find(({ name }) => name === 'QuotedLabelName');
  const metric =
    identifier !== null
      ? textOf(expression, identifier)
      : quoted !== undefined
        ? unquote(textOf(expression, quoted))
        : (matchers.find((m) => m.label === '__name__' && m.op === '=')?.value ?? '');
  return { metric, matchers, inside };
}

const operandNames = new Set([
  'VectorSelector',
  'MatrixSelector',
  'SubqueryExpr',
  'OffsetExpr',
  'AnchoredExpr',
  'SmoothedExpr',
  'StepInvariantExpr',
  'AggregateExpr',
  'BinaryExpr',
  'FunctionCall',
  'ParenExpr',
  'UnaryExpr',
  'NumberDurationLiteral',
  'StringLiteral',
]);

export function isOperand(node: SyntaxNode): boolean {
  return operandNames.has(node.name);
}

export function functionName(expression: Expression, node: SyntaxNode): string {
  const identifier = node.getChild('FunctionIdentifier');
  return identifier === null ? '' : textOf(expression, identifier);
}

export function aggregateName(expression: Expression, node: SyntaxNode): string {
  const op = node.getChild('AggregateOp');
  return op === null ? '' : textOf(expression, op).toLowerCase();
}
