import { readFileSync } from 'node:fs'
import type { CommandInfo } from '../command-info.js'

/** All that completion knows. */
export interface CompletionTable {
  root: CommandInfo
  models: string[]
  dataSets: string[]
}

/** Beside the compiled program; the build writes it. */
export const tableFile = new URL('completions.json', import.meta.url)

/** As built; without that, made anew, for which everything is loaded. */
export async function loadTable(): Promise<CompletionTable> {
  try {
    return JSON.parse(readFileSync(tableFile, 'utf8')) as CompletionTable
  } catch {
    const { makeTable } = await import('./make-table.js')
    return makeTable()
  }
}
