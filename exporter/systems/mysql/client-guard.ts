// Keeps a server that does not keep to the protocol from harming this program.
import type { Connection } from 'mysql2';
import type { Duplex } from 'node:stream';
import { answerBudget } from '../../runtime/answer-budget.ts';
import { TargetError, type TargetErrorCode } from '../../runtime/errors.ts';

/** No statement of ours has a larger answer: the largest are GTID sets (100 kB) and lists of binary logs. */
const maxAnswerBytes = 32 * 1024 * 1024;
/**
 * Of one packet: a row, an error. mysql2 decodes it in one turn, and text in the character set that the server names, as
 * the greeting in CESU-8, takes 0.12 s and 35 MB for each MiB (seen on 3.24).
 */
const maxPacketBytes = 4 * 1024 * 1024;
/**
 * Of an answer with text that Node does not decode itself. Servers give us utf8mb4, as we ask for; a proxy in between, or
 * one that is told not to listen (skip-character-set-client-handshake), may give another. All variables are 60 kB.
 */
const maxForeignBytes = 256 * 1024;
/** Names have 256 characters at most, and there are five of them. */
const maxDefinitionBytes = 16 * 1024;
/** Of all that a server says until it has let us in. */
const maxLoginBytes = 64 * 1024;
const maxColumns = 250;
const maxCells = 1_000_000;

/** What mysql2 3.24 (lib/base/connection.js) has and its types leave out. */
interface Internals {
  /** Once per packet, and without one at the start of each command. */
  handlePacket: (packet?: Packet) => void;
  /** Another one once TLS has begun. */
  readonly stream: Duplex;
  readonly sequenceId: number;
  readonly _command: Command | null | undefined;
}

interface Command {
  /** The columns of each answer. */
  readonly _fields?: readonly (readonly { readonly encoding?: string }[])[];
}

interface Packet {
  readonly sequenceId: number;
  readonly buffer: Buffer;
  readonly offset: number;
  readonly peekByte: () => number;
  readonly length: () => number;
}

/** SERVER_MORE_RESULTS_EXISTS in the packet that ends an answer, or is one alone: we send single statements only. */
function hasMoreResults(packet: Packet, first: boolean): boolean {
  const head = packet.peekByte();
  const ends = (head === 0xfe && packet.length() - 4 < 9) || (first && head === 0);
  return ends && ((packet.buffer[packet.offset + 3] ?? 0) & 8) !== 0;
}

function startsWith(packet: Packet, text: string): boolean {
  return packet.buffer.toString('latin1', packet.offset, packet.offset + text.length) === text;
}

/**
 * Ends the connection by `fail` at the first sign that the other side is not a sane server: mysql2 goes on after a wrong
 * sequence number with a line on stderr, believes any greeting, and collects answers of any size in memory.
 *
 * @returns to be called when all answers that were waited for are there: they do not count as held any more then
 */
export function guardConnection(connection: Connection, doing: string, fail: (why: TargetError) => void): () => void {
  const inner = connection as unknown as Internals;
  const handle = inner.handlePacket.bind(connection);
  let failed = false;
  let greeted = false;
  let loggedIn = false;
  let bytes = 0;
  let packets = 0;
  let columns = 0;
  let foreign = false;
  let watched: Duplex | undefined;
  const held = answerBudget.begin();

  const refuse = (what: string, cause?: unknown, code: TargetErrorCode = 'protocol'): false => {
    held.end();
    if (!failed) fail(new TargetError(code, `${doing}: ${what}`, { cause }));
    failed = true;
    return false;
  };

  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (failed) return;
    const full = held.add(chunk.length);
    if (full !== undefined) refuse(full.message, full, full.code);
    if (!loggedIn && bytes > maxLoginBytes) refuse(`a log-in of more than ${maxLoginBytes / 1024} KiB`);
    if (bytes > maxAnswerBytes) refuse(`an answer of more than ${maxAnswerBytes / 1024 / 1024} MiB`);
    // A greeting has number 0 behind its three bytes of length; the banner of another service has a letter there.
    if (!greeted && bytes === chunk.length && chunk.length > 3 && chunk[3] !== 0) refuse('this is no MySQL server');
  };

  const isDefinition = (): boolean => columns > 0 && columns !== 255 && packets > 1 && packets <= columns + 1;

  // A TLS connection begins as a plain one: the stream is another one from then on.
  const watchStream = (): void => {
    if (inner.stream === watched) return;
    watched = inner.stream;
    watched.prependListener('data', onData);
    watched.once('close', held.end);
  };

  const sane = (packet: Packet): boolean => {
    if (packet.sequenceId !== inner.sequenceId) {
      return refuse(`packet ${packet.sequenceId} came in the place of ${inner.sequenceId}`);
    }
    if (packet.length() > maxPacketBytes) return refuse(`a row of more than ${maxPacketBytes / 1024 / 1024} MiB`);
    packets += 1;
    const first = packet.peekByte();
    if (!greeted) {
      greeted = true;
      return first === 10 || first === 255 || refuse(`this is no MySQL server: protocol version ${first}`);
    }
    // https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response.html
    if (packets === 1) columns = first;
    if (hasMoreResults(packet, packets === 1)) return refuse('more than one answer');
    if (columns === 255) return true; // an error
    if (columns > maxColumns) return refuse('an answer with too many columns, or a request for a local file');
    // The catalogue is "def" in every definition: mysql2 writes a stack trace to stderr for what it cannot read there.
    const isDefined = startsWith(packet, '\x03def') && packet.length() <= maxDefinitionBytes;
    if (isDefinition() && first !== 0xff && !isDefined) return refuse('a column without a definition');
    if (foreign && bytes > maxForeignBytes)
      return refuse(`more than ${maxForeignBytes / 1024} KiB in a foreign character set`);
    return packets * columns <= maxCells || refuse(`an answer of more than ${maxCells} values`);
  };

  inner.handlePacket = (packet) => {
    if (failed) return;
    try {
      if (packet === undefined) {
        loggedIn = true; // the first command, the log-in, had begun before this guard was there
        [bytes, packets, columns, foreign] = [0, 0, 0, false];
        held.end();
      } else if (inner._command && !sane(packet)) return;
      const command = inner._command;
      handle(packet);
      if (packet !== undefined && loggedIn && isDefinition()) {
        const encoding = command?._fields?.[0]?.at(-1)?.encoding;
        foreign ||= encoding === undefined || !Buffer.isEncoding(encoding);
      }
      watchStream();
    } catch (error) {
      refuse('an answer that makes no sense', error); // would be an uncaught exception, the end of this process
    }
  };
  watchStream();
  return held.end;
}
