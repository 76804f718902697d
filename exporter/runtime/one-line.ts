/**
 * What a server or a file says, for a terminal and a log: on one line, so that it cannot pass for a line of ours, without
 * characters that steer a terminal or turn the direction of writing, and no longer than somebody reads.
 */
export function oneLine(text: string, mostChars = Infinity): string {
  const cut = text.length > mostChars ? `${text.slice(0, mostChars)}…` : text;
  return cut.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ');
}
