/** What a stream can show: how many columns, and whether in colour. */

import { styleText } from 'node:util'
import { escapeLines } from '../escape.js'

export interface Terminal {
  /** infinite where the stream is no terminal: a file or a pipe gets whole lines */
  columns: number
  colors: boolean
}

interface Stream {
  isTTY?: boolean
  columns?: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** https://no-color.org comes first, then FORCE_COLOR, then whether the stream is a terminal that knows colours. */
export function terminalOf(stream: Stream, env: Environment = process.env): Terminal {
  const columns = stream.isTTY && stream.columns ? stream.columns : Number.POSITIVE_INFINITY
  return { columns, colors: hasColors(stream, env) }
}

function hasColors({ isTTY = false }: Stream, { NO_COLOR, FORCE_COLOR, TERM }: Environment): boolean {
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '') return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  return isTTY && TERM !== 'dumb'
}

/** The text as it is where there are no colours. @param text that has been escaped */
export function paint(style: 'red', text: string, { colors }: Pick<Terminal, 'colors'>): string {
  return colors && text !== '' ? styleText(style, text, { validateStream: false }) : text
}

/**
 * Text is escaped when it is printed, which would take colours away. Until then these stand for them: noncharacters,
 * which Unicode keeps for a program's own use, and which are escaped wherever they come from outside.
 */
const marks = { bold: '\ufdd0', dim: '\ufdd1', end: '\ufdd2' } as const
const codes: Record<string, string> = {
  [marks.bold]: '\u001b[1m',
  [marks.dim]: '\u001b[2m',
  [marks.end]: '\u001b[22m',
}

export type Style = 'bold' | 'dim'

/** Marks text for `escapeMarked`; the text as it is where there are no colours. */
export function mark(style: Style, text: string, { colors }: Pick<Terminal, 'colors'>): string {
  return colors && text !== '' ? `${marks[style]}${text}${marks.end}` : text
}

/** Lines fit to be shown, in the colours that `mark` gave them. */
export function escapeMarked(text: string): string {
  return text.replaceAll(/[^\ufdd0-\ufdd2]+|./g, (part) => codes[part] ?? escapeLines(part))
}
