import { createHash } from 'node:crypto';

/** A statement of this length and more is told apart by its beginning. */
const maxChars = 16_384;

/** What may hold data, or says nothing: comments, texts, numbers, spaces. Quoted names are kept. Linear in its length. */
const parts = /\/\*[^]*?(?:\*\/|$)|(?:--[ \t]|#)[^\n]*|'(?:[^'\\]|\\[^]|'')*(?:'|$)|"(?:[^"\\]|\\[^]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\b(?:0x[0-9a-f]+|[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\b|\s+/gi; // prettier-ignore

/**
 * The same for statements that differ only in their values: 16 hexadecimal digits. Values are taken out before, so that
 * one cannot be found by trying.
 */
export function digestOf(statement: string): string {
  const normal = statement
    .slice(0, maxChars)
    .replace(parts, (part) => {
      if (part.startsWith('`')) return part;
      return /^(?:\/\*|--|#|\s)/.test(part) ? ' ' : '?';
    })
    .replace(/ +/g, ' ')
    .trim()
    .replace(/;$/, '')
    .trim()
    .toLowerCase();
  return createHash('sha256').update(normal).digest('hex').slice(0, 16);
}
