/** Text from files, the network or a command line made fit to be shown: signs that steer a terminal become visible. */

/**
 * Control characters (C0, DEL, C1), separators of lines and paragraphs, overrides and isolates of the writing
 * direction, tags, lone surrogates, and the noncharacters that stand for colours here (cli/terminal.ts). Plain marks of direction stay: Arabic and Hebrew need them, and they turn nothing round.
 */
const steering =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufeff\u{e0000}-\u{e007f}]/gu

/** What stays in one line: `\n`, `\u001b` and so on, as JSON writes them, so that JSON may go through here, too. */
export function escapeText(text: string): string {
  return text.replace(steering, escapeSign)
}

/** As `escapeText`, but the text's own lines and tabs stay. */
export function escapeLines(text: string): string {
  return text.replace(steering, (sign) => (sign === '\n' || sign === '\t' ? sign : escapeSign(sign)))
}

const short: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function escapeSign(sign: string): string {
  const units = Array.from({ length: sign.length }, (_, i) => sign.charCodeAt(i))
  return short[sign] ?? units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}
