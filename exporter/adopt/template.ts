// Grafana's variables, replaced so that what is left is PromQL. Nothing is replaced twice: a value that names a variable
// is not looked up again.

/** Stands for a variable whose value is not in the file, where PromQL wants a name. */
export const variableName = 'grafana_variable_';

/** The same, where it is a piece of a name: `${metric}_total`. */
export const variablePiece = `${variableName}piece_`;

/** Stands for a variable in a string: what a label must match is the reader's choice. */
export const variableValue = '(.+)';

/** Values of the variables that the dashboard itself gives one: constants, intervals, lists. */
export type Values = ReadonlyMap<string, string>;

/** https://grafana.com/docs/grafana/latest/dashboards/variables/add-template-variables/#global-variables */
const global: ReadonlyMap<string, string> = new Map([
  ['__interval', '1m'],
  ['__interval_ms', '60000'],
  ['__rate_interval', '5m'],
  ['__rate_interval_ms', '300000'],
  ['__range', '6h'],
  ['__range_s', '21600'],
  ['__range_ms', '21600000'],
  ['__from', '0'],
  ['__to', '0'],
]);

// $name, ${name}, ${name.field:format}, [[name]], [[name:format]]. `$1` of label_replace begins with a digit: none.
const pattern =
  /\$([a-zA-Z_]\w*)|\$\{([a-zA-Z_]\w*)(?:\.[^:${}]{0,100})?(?::[^${}]{0,100})?\}|\[\[([a-zA-Z_]\w*)(?::[^[\]]{0,100})?\]\]/g;

export function expandTemplate(text: string, values: Values): string {
  const scanner = new Scanner(text);
  let expanded = '';
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    const name = match[1] ?? match[2] ?? match[3] ?? '';
    const to = match.index + match[0].length;
    const place = scanner.at(match.index);
    expanded += text.slice(from, match.index) + valueOf(name, place, text[to] ?? '', values);
    from = to;
    scanner.skip(to);
  }
  return expanded + text.slice(from);
}

type Place = 'string' | 'duration' | 'code';

function valueOf(name: string, place: Place, next: string, values: Values): string {
  if (place === 'string') return variableValue;
  const before = global.get(name);
  if (before !== undefined) return before;
  const given = values.get(name);
  if (place === 'duration') {
    if (given !== undefined && /^(\d+(ms|[smhdwy]))+$/.test(given)) return given;
    return /[smhdwy]/.test(next) ? '5' : '5m';
  }
  if (given !== undefined && /^[\w:.]+$/.test(given)) return given;
  return /[\w:]/.test(next) ? `${variablePiece}${name}` : `${variableName}${name}`;
}

/** Tells for growing offsets whether they lie in a string, in a range, or in neither. */
class Scanner {
  readonly #text: string;
  #offset = 0;
  #quote = '';
  #brackets = 0;

  constructor(text: string) {
    this.#text = text;
  }

  at(offset: number): Place {
    for (; this.#offset < offset; this.#offset += 1) this.#step(this.#text[this.#offset] ?? '');
    if (this.#quote !== '') return 'string';
    if (this.#brackets > 0) return 'duration';
    return /\boffset\s+-?\s*$/i.test(this.#text.slice(Math.max(0, offset - 20), offset)) ? 'duration' : 'code';
  }

  /** What the variable itself is written with is no PromQL. */
  skip(offset: number): void {
    this.#offset = Math.max(this.#offset, offset);
  }

  #step(char: string): void {
    if (this.#quote === '#') {
      if (char === '\n') this.#quote = '';
    } else if (this.#quote !== '') {
      if (char === '\\' && this.#quote !== '`') this.#offset += 1;
      else if (char === this.#quote) this.#quote = '';
    } else if (char === '"' || char === "'" || char === '`' || char === '#') this.#quote = char;
    else if (char === '[') this.#brackets += 1;
    else if (char === ']') this.#brackets = Math.max(0, this.#brackets - 1);
  }
}
