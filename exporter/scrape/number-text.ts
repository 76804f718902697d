/** As the text formats write it, but for NaN, which is never served. */
export function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}

const zero = 0x30;
const billion = 1e9;

/** Whole, not negative, and so small that `writeWhole` writes what `String` says. */
export function isWhole(value: number): boolean {
  return value >= 0 && value <= Number.MAX_SAFE_INTEGER && Math.floor(value) === value;
}

/** The digits of a number that `isWhole`: most are, and to make a string of each takes several times as long. @returns where they end */
export function writeWhole(value: number, to: Uint8Array, at: number): number {
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
