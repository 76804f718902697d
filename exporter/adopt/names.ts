// The names that a piece of an expression reads.
import { descendants, selectorAt, type Expression, type SyntaxNode } from '../promql.ts';
import { variableName } from './template.ts';

/** Each once; variables of a dashboard are none. */
export function selectorNames(expression: Expression, node: SyntaxNode): string[] {
  const selectors = node.name === 'VectorSelector' ? [node] : descendants(node, 'VectorSelector');
  const names = selectors.map((selector) => selectorAt(expression, selector).metric);
  return [...new Set(names)].filter((name) => name !== '' && !name.includes(variableName));
}
