/** Rows for a terminal: in columns where they fit, in wrapped cells where they do not, one under the other at the worst. */

import stringWidth from 'string-width'
import wrapAnsi from 'wrap-ansi'
import { escapeText } from '../escape.js'
import { mark, type Terminal, terminalOf } from './terminal.js'

type Row = readonly string[]

const gap = 2
/** A column of text is not made narrower than this, nor than its longest word of up to `longWord`. */
const leastText = 8
const longWord = 20

/** Columns padded to their widest cell; those of numbers only are set to the right, and never broken. Cells are escaped. */
export function table(
  header: Row,
  given: readonly Row[],
  terminal: Terminal = terminalOf(process.stdout),
): string {
  const rows = given.map((row) => row.map(escapeText))
  const cellsOf = (column: number): string[] => rows.map((row) => row[column] ?? '')
  const numeric = header.map((_, column) =>
    cellsOf(column).every((cell) => /^[-+]?[\d.]+(e[-+]?\d+)?[%x*]?$|^-?$/.test(cell)),
  )
  const natural = header.map((name, column) => widest([name, ...cellsOf(column)]))
  const least = header.map((name, column) =>
    numeric[column]
      ? widest([...cellsOf(column), ...wordsOf([name])])
      : Math.min(natural[column]!, Math.max(leastText, longestWord([name, ...cellsOf(column)]))),
  )
  const widths = widthsWithin(natural, least, terminal.columns)
  if (!widths) return records(header, rows, terminal)
  const line = (row: Row, style?: 'bold'): string => {
    const cells = widths.map((width, column) => wrap(row[column] ?? '', width))
    const height = Math.max(...cells.map((lines) => lines.length))
    return Array.from({ length: height }, (_, i) =>
      cells
        .map((lines, column) => pad(lines[i] ?? '', widths[column]!, numeric[column]!, style, terminal))
        .join(' '.repeat(gap))
        .trimEnd(),
    ).join('\n')
  }
  const rule = widths.map((width) => '-'.repeat(width)).join(' '.repeat(gap))
  return [line(header, 'bold'), mark('dim', rule, terminal), ...rows.map((row) => line(row))].join('\n')
}

/** Columns without a header; what the last one has no room for goes on under its start. */
export function aligned(
  rows: readonly Row[],
  terminal: Terminal = terminalOf(process.stdout),
  style?: 'bold',
): string {
  const count = Math.max(...rows.map((row) => row.length))
  const widths = Array.from({ length: count - 1 }, (_, column) =>
    widest(rows.map((row) => row[column] ?? '')),
  )
  const indent = widths.reduce((sum, width) => sum + width + gap, 0)
  // With next to no room left beside them, the last cells stand under the others.
  const under = terminal.columns - indent < leastText
  return rows
    .map((row) => {
      const start = widths
        .map((width, column) => pad(row[column] ?? '', width, false, style, terminal) + ' '.repeat(gap))
        .join('')
      const hang = ' '.repeat(under ? gap : indent)
      const last = wrap(row[count - 1] ?? '', Math.max(leastText, terminal.columns - hang.length))
      return (
        under
          ? [start, ...last.map((each) => hang + each)]
          : [start + last[0]!, ...last.slice(1).map((each) => hang + each)]
      )
        .map((each) => each.trimEnd())
        .join('\n')
    })
    .join('\n')
}

/** @returns widths that go into `columns`, the widest columns made narrower first; undefined when none do */
function widthsWithin(
  natural: readonly number[],
  least: readonly number[],
  columns: number,
): number[] | undefined {
  const room = columns - gap * (natural.length - 1)
  if (sum(least) > room) return undefined
  const widths = [...natural]
  for (let over = sum(widths) - room; over > 0; over--) {
    const shrinkable = widths.map((width, i) => (width > least[i]! ? width : 0))
    widths[shrinkable.indexOf(Math.max(...shrinkable))]!--
  }
  return widths
}

function records(header: Row, rows: readonly Row[], terminal: Terminal): string {
  const one = (row: Row): string =>
    aligned(
      header.map((name, column) => [name, row[column] ?? '']),
      terminal,
      'bold',
    )
  return rows.map(one).join('\n\n')
}

function wrap(cell: string, width: number): string[] {
  if (stringWidth(cell) <= width) return [cell]
  return wrapAnsi(cell, width, { hard: true }).split('\n')
}

function pad(
  cell: string,
  width: number,
  right = false,
  style?: 'bold',
  terminal: Pick<Terminal, 'colors'> = { colors: false },
): string {
  const space = ' '.repeat(Math.max(0, width - stringWidth(cell)))
  const painted = style ? mark(style, cell, terminal) : cell
  return right ? space + painted : painted + space
}

function widest(cells: readonly string[]): number {
  return Math.max(0, ...cells.map((cell) => stringWidth(cell)))
}

function wordsOf(cells: readonly string[]): string[] {
  return cells.flatMap((cell) => cell.split(' '))
}

/** Of words that are not too long to be broken, as paths are. */
function longestWord(cells: readonly string[]): number {
  return Math.min(longWord, widest(wordsOf(cells)))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
