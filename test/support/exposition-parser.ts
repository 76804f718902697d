// A small reader of the text formats, written from their descriptions and apart from the encoder, to check it.

export interface ParsedSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: ParsedSample[];
}

/** @throws for anything that is not exactly a header or a sample line, and for a family whose lines are not together */
export function parseExposition(text: string): Map<string, ParsedFamily> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line is not ended');
  const families = new Map<string, ParsedFamily>();
  let help: { name: string; text: string } | undefined;
  let current: [string, ParsedFamily] | undefined;
  const lines = text.split('\n').slice(0, -1);
  for (const [i, line] of lines.entries()) {
    if (line === '# EOF') {
      if (i !== lines.length - 1) throw new Error('# EOF is not the last line');
      continue;
    }
    const header = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line);
    if (header !== null) {
      const [, what, name = '', rest = ''] = header;
      if (what === 'HELP') help = { name, text: rest };
      else {
        if (help?.name !== name) throw new Error(`TYPE of ${name} without its HELP`);
        if (families.has(name)) throw new Error(`family ${name} is there twice`);
        current = [name, { type: rest, help: help.text, samples: [] }];
        families.set(...current);
      }
      continue;
    }
    const sample = parseSample(line);
    if (current === undefined || !sample.name.startsWith(current[0])) throw new Error(`no header for: ${line}`);
    current[1].samples.push(sample);
  }
  return families;
}

function parseSample(line: string): ParsedSample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  let at = name.length;
  if (line[at] === '{') {
    at += 1;
    while (line[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(line.slice(at));
      if (label?.[1] === undefined) throw new Error(`not a label at ${String(at)}: ${line}`);
      at += label[0].length;
      let value = '';
      while (line[at] !== '"') {
        if (at >= line.length) throw new Error(`a label value is not ended: ${line}`);
        if (line[at] === '\\') {
          at += 1;
          const escaped = { n: '\n', '"': '"', '\\': '\\' }[line[at] ?? ''];
          if (escaped === undefined) throw new Error(`not an escape: ${line}`);
          value += escaped;
        } else value += line[at] ?? '';
        at += 1;
      }
      at += 1;
      if (label[1] in labels) throw new Error(`label ${label[1]} is there twice: ${line}`);
      labels[label[1]] = value;
      if (line[at] === ',') at += 1;
      else if (line[at] !== '}') throw new Error(`neither , nor } after a label: ${line}`);
    }
    at += 1;
  }
  const value = /^ ([+-]Inf|[-+0-9.e]+)$/.exec(line.slice(at))?.[1];
  if (value === undefined) throw new Error(`no value: ${line}`);
  return { name, labels, value: value.endsWith('Inf') ? Number(`${value}inity`) : Number(value) };
}

/** The value of one series, undefined when it is not there. */
export function valueOf(
  families: ReadonlyMap<string, ParsedFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = (families.get(name)?.samples ?? []).filter((s) =>
    Object.entries(labels).every(([label, value]) => s.labels[label] === value),
  );
  if (found.length > 1) throw new Error(`${name}: ${String(found.length)} series match`);
  return found[0]?.value;
}
