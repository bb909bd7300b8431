import { check, checkList } from '../check.js'
import { InputError } from '../errors.js'
import type { SampleResult } from './record.js'
import { mergeResults, readResult, readResults, resultPath, writeResult } from './store.js'

/**
 * Merges results of several folders, sample by sample, into `out`, which may be one of them or hold earlier ones: what
 * is there stays, the same answer from two of them counts once.
 * @returns the files written
 * @throws InputError before anything is written when two disagree, or were made under different settings
 */
export async function mergeResultFolders(folders: readonly string[], out: string): Promise<string[]> {
  checkList(folders, 'folders', 'path', 0)
  check(out, 'out', 'path')
  const merged = new Map<string, { from: string; result: SampleResult }>()
  for (const { path, result } of await readResults(folders)) {
    const target = resultPath(out, result.model, result.data, result.index)
    const other = merged.get(target) ?? (await presentAt(target))
    merged.set(target, {
      from: path,
      result: other ? mergeResults(other.result, result, [other.from, path]) : result,
    })
  }
  if (merged.size === 0) throw new InputError(`there are no results in ${folders.join(', ')}`)
  for (const [target, { result }] of merged) await writeResult(target, result)
  return [...merged.keys()]
}

async function presentAt(path: string): Promise<{ from: string; result: SampleResult } | undefined> {
  const result = await readResult(path)
  return result && { from: path, result }
}
