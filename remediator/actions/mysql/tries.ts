// Whether a receiver that could not connect has given up by itself, or was stopped while it tried. Pure: by what the server
// says of its last try, which STOP leaves in the status (seen on MariaDB 10.11 and MySQL 9).

/** A receiver that was to try for longer than this is taken for stopped where its tries are not counted. */
const longTrySeconds = 86_400;

/**
 * MySQL since 8.0.28: `This was attempt 3/10, with a delay of 60 seconds between attempts`; before: `retry-time: 60 retries:
 * 3`, of Master_Retry_Count. MariaDB: `retry-time: 60  maximum-retries: 100000`, with no count of those made.
 * @param text Last_IO_Error
 * @param most Master_Retry_Count, where the status has it
 * @returns undefined: the text is of no try to connect
 */
export function connectTries(
  text: string,
  most: string | null | undefined,
): 'used_up' | 'left' | 'unknown' | undefined {
  if (!/error (re)?connecting to (master|source)/i.test(text)) return undefined;
  const [, made, of] = /attempt (\d+)\/(\d+)/i.exec(text)?.map(Number) ?? [];
  if (made !== undefined && of !== undefined) return left(made, of);
  const [, retries] = / retries: (\d+)/i.exec(text)?.map(Number) ?? [];
  if (retries !== undefined && most !== undefined && most !== null) return left(retries, Number(most));
  const [, delay, maximum] = /retry-time: (\d+)\s+maximum-retries: (\d+)/i.exec(text)?.map(Number) ?? [];
  if (delay === undefined || maximum === undefined) return undefined;
  return maximum === 0 || maximum * delay >= longTrySeconds ? 'left' : 'unknown';
}

/** 0: without end */
function left(made: number, of: number): 'used_up' | 'left' {
  return of > 0 && made >= of ? 'used_up' : 'left';
}
