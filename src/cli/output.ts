/**
 * What commands print: text for people, or one JSON value with --json. Only this, progress and the server's log write to
 * stdout and stderr, so that what files, folders and hubs call things reaches no terminal without being escaped.
 */

import { escapeLines, escapeText } from '../escape.js'

import { printOut } from './stdout.js'
import { escapeMarked, paint, terminalOf } from './terminal.js'

export { formatBytes } from '../format-bytes.js'
export { table } from './table.js'

/** One line on stdout; a line break in it is none of ours, and is shown as `\n`. */
export function printLine(line = ''): void {
  printOut(`${escapeText(line)}\n`)
}

/** Lines put together here; names in them have been through `escapeText` or `table`, or could bring lines of their own. */
export function printText(text: string): void {
  printOut(`${escapeMarked(text)}\n`)
}

/** What a model wrote, with no line break added: as it is into a file or a pipe, escaped on a terminal. */
export function printContent(text: string): void {
  printOut(process.stdout.isTTY ? escapeLines(text) : text)
}

/** One line on stderr. */
export function printNote(line: string): void {
  process.stderr.write(`${escapeText(line)}\n`)
}

/** What went wrong, on stderr: one line. */
export function printError(line: string): void {
  process.stderr.write(`${paint('red', escapeText(line), terminalOf(process.stderr))}\n`)
}

/** Lines on stderr: a stack. */
export function printErrorText(text: string): void {
  process.stderr.write(`${paint('red', escapeLines(text), terminalOf(process.stderr))}\n`)
}

/** Typed arrays become lists, NaN and infinities null. */
export function printJson(value: unknown): void {
  const plain = (_: string, each: unknown): unknown =>
    ArrayBuffer.isView(each) && !(each instanceof DataView)
      ? Array.from(each as unknown as ArrayLike<unknown>)
      : each
  printOut(`${escapeLines(JSON.stringify(value, plain, 2))}\n`)
}

/** 12 ms, 3.4 s, 2 min 5 s */
export function formatSeconds(seconds: number): string {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}
