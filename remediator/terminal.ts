// Text for a terminal: tables, times, and other people's words made harmless.

/** From ledger time to wall time. */
export type WallOf = (ledgerMs: number) => number;
export type WallText = (ledgerMs: number) => string;

export function timeWith(wallOf: WallOf): WallText {
  return (ledgerMs) => iso(wallOf(ledgerMs));
}

export function iso(wallMs: number): string {
  const date = new Date(Math.round(wallMs / 1000) * 1000);
  return Number.isNaN(date.getTime()) ? 'at an unknown time' : date.toISOString().replace('.000', '');
}

/** Labels are other people's text: no escape sequences to the terminal. */
export function plain(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Columns as wide as their widest cell; the last one as it comes. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(plain));
  const widths = header.map((title, i) => Math.max(title.length, ...shown.map((row) => (row[i] ?? '').length)));
  return [header, ...shown]
    .map(
      (row) =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

const units: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1000, 's'],
];

/** The two largest units: `3d4h`, `5m`. */
export function spanText(ms: number): string {
  let rest = Math.max(0, Math.round(ms / 1000) * 1000);
  const parts: string[] = [];
  for (const [unitMs, unit] of units) {
    const n = Math.floor(rest / unitMs);
    rest -= n * unitMs;
    if (n > 0) parts.push(`${n}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length === 0 ? '0s' : parts.join('');
}
