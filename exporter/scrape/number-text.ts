/** As the text formats write it, but for NaN, which is never served. */
export function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

/** `-0.0000012345678901234567`; the exponents of the smallest take no more. */
export const mostNumberChars = 25;

const [zero, point] = [0x30, 0x2e];
const billion = 1e9;
/** No two numbers of at most fifteen digits are the same double: the digits that lead back to it are those of `String`. */
const fifteenDigits = 1e15;

/**
 * As `numberText`, at once as bytes. To make a text of each number takes several times as long, and nearly all are whole, or
 * seconds of which milliseconds were measured.
 * @returns where it ends
 */
export function writeNumber(value: number, to: Uint8Array, at: number): number {
  if (isWhole(value)) return writeWhole(value, to, at);
  const thousandths = value * 1000;
  if (isWhole(thousandths) && thousandths < fifteenDigits && thousandths / 1000 === value) {
    return writeThousandths(thousandths, to, at);
  }
  const text = numberText(value);
  for (let i = 0; i < text.length; i++) to[at + i] = text.charCodeAt(i);
  return at + text.length;
}

/** Not negative, and so small that its digits are all known. */
function isWhole(value: number): boolean {
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER && Math.floor(value) === value;
}

function writeThousandths(value: number, to: Uint8Array, from: number): number {
  const whole = Math.floor(value / 1000);
  const at = writeWhole(whole, to, from);
  to[at] = point;
  let end = writeDigits(value - whole * 1000, 3, to, at + 1);
  while (to[end - 1] === zero) end -= 1;
  return end;
}

function writeWhole(value: number, to: Uint8Array, at: number): number {
  if (value < billion) return writeDigits(value, digitsIn(value), to, at);
  const high = Math.floor(value / billion);
  return writeDigits(value - high * billion, 9, to, writeDigits(high, digitsIn(high), to, at));
}

/** Of less than a billion. */
function digitsIn(value: number): number {
  let digits = 1;
  for (let next = 10; value >= next; next *= 10) digits += 1;
  return digits;
}

function writeDigits(value: number, digits: number, to: Uint8Array, at: number): number {
  let rest = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const tens = (rest / 10) | 0;
    to[i] = zero + rest - tens * 10;
    rest = tens;
  }
  return at + digits;
}
