// What the demo prints: one line per event, with the seconds since the demo began and since the step began.

const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);

export interface Expectation {
  readonly what: string;
  readonly held: boolean;
  readonly detail: string;
}

export interface Timeline {
  section(title: string): void;
  /** One event, with its time. */
  event(text: string, detail?: string): void;
  /** Text that belongs to the last event. */
  block(text: string): void;
  /** Kept, and counted at the end. */
  expect(what: string, held: boolean, detail?: string): void;
  readonly expectations: readonly Expectation[];
}

export function createTimeline(write: (text: string) => void = (text) => process.stdout.write(text)): Timeline {
  const began = performance.now();
  let sectionBegan = began;
  const expectations: Expectation[] = [];
  const stamp = (): string => {
    const now = performance.now();
    const since = (then: number): string => ((now - then) / 1000).toFixed(1);
    return `${since(began).padStart(7)} s ${`+${since(sectionBegan)}`.padStart(7)}`;
  };
  const event = (text: string, detail = ''): void => {
    write(`${paint(2, stamp())}  ${text}${detail === '' ? '' : `  ${paint(2, detail)}`}\n`);
  };
  return {
    expectations,
    event,
    section: (title) => {
      sectionBegan = performance.now();
      write(`\n${paint(1, `── ${title} ${'─'.repeat(Math.max(3, 96 - title.length))}`)}\n`);
    },
    block: (text) => {
      write(`${text.replace(/^/gm, '                     ').trimEnd()}\n`);
    },
    expect: (what, held, detail = '') => {
      expectations.push({ what, held, detail });
      event(held ? paint(32, `✔ ${what}`) : paint(31, `✘ ${what}`), held ? '' : detail);
    },
  };
}
