// What the lines of Maxwell's log say. Pure. Texts as seen on 1.44.1 and 1.22.6, with Kafka's client 4.1.

export const logClasses = [
  'connection', // to MySQL or Kafka
  'delivery', // Kafka did not take a message
  'parse', // binary log, schema change or character set that it does not understand
  'schema', // its stored schema does not fit
  'memory',
  'configuration', // options, credentials, grants
  'duplicate', // another Maxwell under the same client_id, or another reader under the same server id
  'position_lost',
  'other', // any other line of level ERROR or FATAL
] as const;
export type LogClass = (typeof logClasses)[number];

export const logLevels = ['error', 'warn', 'info', 'debug', 'none'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Where a line fits several, the first counts. */
const markers: readonly (readonly [LogClass, RegExp])[] = [
  ['memory', /OutOfMemoryError|GC overhead limit exceeded/],
  ['duplicate', /Is another Maxwell process running|DuplicateProcessException|same server_uuid\/server_id/],
  [
    'position_lost',
    /Could not find first log file name|start replication from position > file size|binlog truncated in the middle of event|purged required binary logs|[Cc]ouldn't find the requested binlog|could not find next log/,
  ],
  ['schema', /Couldn't find database|InvalidSchemaError|SchemaStoreException/],
  [
    'delivery',
    /Expiring \d+ record|RecordTooLargeException|TimeoutException: Topic .* not present|ProducerFencedException/,
  ],
  [
    'configuration',
    /Access denied|is not a recognized option|InvalidUsageException|ConfigException|Invalid value .* for configuration|SaslAuthenticationException|binlog_format|binlog_row_image|command denied|privilege/i,
  ],
  [
    'parse',
    /MaxwellSQLSyntaxError|EventDataDeserializationException|Failed to deserialize|unhandled character set|ParseCancellationException|ColumnDefCastException|unsupported .*(?:column|type|event)/i,
  ],
  [
    'connection',
    /Communications link failure|Reconnection attempt|Maximum reconnection attempts|could not be established|Connection refused|SocketTimeoutException|UnknownHostException|Broker may not be available|Bootstrap broker .* disconnected|EOFException|Connection reset|SSLHandshakeException/,
  ],
];

/** Markers that are said at level INFO too. */
const atAnyLevel = /Reconnection attempt|OutOfMemoryError/;

/** Written at each start, the second one only on the versions that have it: Maxwell.java in https://github.com/zendesk/maxwell */
const startMarker = /\bMaxwell - (Starting Maxwell\.|Maxwell v\S+ is booting)/;

/** `2026-11-21 15:14:42 WARN  NetworkClient - …`; other layouts name the level near the beginning too, or as JSON. */
const header =
  /^(?:(?:[[\d(]|TRACE|DEBUG|INFO|WARN|ERROR|FATAL)[^{]{0,80}?\b|\{.{0,300}?"level":\s*")(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)\b/;
/** What the stdout producer writes: a row may hold any text. */
const row = /^\{"(?:database|type)":/;
const continuation = /^(?:\s|Caused by: |Suppressed: |\.\.\. \d+ more|\}|$)/;
const jvmsOwn = /^Exception(?: in thread|:)/;
const levels: Readonly<Record<string, LogLevel>> = {
  TRACE: 'debug',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  WARNING: 'warn',
  ERROR: 'error',
  FATAL: 'error',
};

/** What one life of the process wrote. */
export interface LifeLog {
  /** Classes of the last events, oldest first. */
  readonly classes: readonly LogClass[];
}

const keptEvents = 20;
/** These end a process; the others are seen in healthy ones and after them. */
const fatal: ReadonlySet<LogClass> = new Set(['memory', 'duplicate', 'position_lost', 'schema', 'configuration']);

/** The class of how a life ended, by what it wrote last; undefined when it wrote no error. */
export function endClassOf({ classes }: LifeLog): LogClass | undefined {
  return classes.findLast((c) => fatal.has(c)) ?? classes.findLast((c) => c !== 'other') ?? classes.at(-1);
}

/**
 * Counts the lines by level and the events by class. An event is a line with its stack trace: an exception that is
 * printed with its causes is one event, and an ERROR that only introduces an exception is not a second one.
 */
export class LogReader {
  readonly lines: Record<LogLevel, number> = { error: 0, warn: 0, info: 0, debug: 0, none: 0 };
  readonly events: Record<LogClass, number>;
  /** Of the newest event. */
  lastClass: LogClass | undefined;
  #level: LogLevel = 'none';
  /** Of the event that is being read; undefined until something of it is counted. */
  #counted: LogClass | undefined;
  #life: LogClass[] = [];
  #before: LogClass[] | undefined;
  #hasFirstLine = false;

  constructor() {
    this.events = Object.fromEntries(logClasses.map((c) => [c, 0])) as Record<LogClass, number>;
  }

  /** The life that the newest lines belong to. */
  get life(): LifeLog {
    return { classes: this.#life };
  }

  /** The one before it, when its lines were read too. */
  get lifeBefore(): LifeLog | undefined {
    return this.#before === undefined ? undefined : { classes: this.#before };
  }

  readonly onLine = (line: string): void => {
    if (row.test(line)) return;
    if (continuation.test(line)) {
      if (this.#level !== 'info' && this.#level !== 'debug') this.#mark(line);
      return;
    }
    const [, word] = header.exec(line) ?? [];
    // An exception without a layout of its own belongs to the line that introduced it; the JVM's own word does not.
    const isIntroduced = this.#level === 'error' || this.#level === 'warn';
    if (word !== undefined || !isIntroduced || jvmsOwn.test(line)) {
      this.settle();
      this.#level = word === undefined ? 'none' : (levels[word] ?? 'none');
      this.lines[this.#level] += 1;
    }
    const [, start] = startMarker.exec(line) ?? [];
    if (start !== undefined && this.#level === 'info') this.#begin(start);
    else if ((this.#level !== 'info' && this.#level !== 'debug') || atAnyLevel.test(line)) this.#mark(line);
  };

  /** The event that was read last has ended: nothing more came, or the next line. */
  settle(): void {
    if (this.#level === 'error' && this.#counted === undefined) this.#count('other');
    this.#level = 'none';
    this.#counted = undefined;
  }

  /** Takes over what another reader has read before this one, without its counts. */
  inherit(earlier: LogReader): void {
    this.lastClass ??= earlier.lastClass;
    if (this.#before === undefined) {
      this.#before = earlier.#before;
      this.#life = [...earlier.#life, ...this.#life];
    } else {
      this.#before = [...earlier.#life, ...this.#before];
    }
  }

  /** Of two start lines of one life only the first begins it. */
  #begin(start: string): void {
    const isFirstLine = start.startsWith('Starting');
    if (!isFirstLine && this.#hasFirstLine) return;
    this.#hasFirstLine = isFirstLine;
    this.#before = this.#life;
    this.#life = [];
  }

  #mark(line: string): void {
    if (this.#counted !== undefined) return;
    const found = markers.find(([, marker]) => marker.test(line))?.[0];
    if (found !== undefined) this.#count(found);
  }

  #count(found: LogClass): void {
    this.events[found] += 1;
    this.#counted = found;
    this.lastClass = found;
    this.#life = [...this.#life, found].slice(-keptEvents);
  }
}
