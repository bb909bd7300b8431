import { type Row, stringOf } from './rows.js'
import type { TextTokenizer } from './sample.js'

export const gsmColumns = ['question', 'answer'] as const

/** Shorter contexts are passed over, as KVzip does: there is nothing to evict. */
const fewestTokens = 72

/** GSM8K's problems: the last sentence is the question, what stands before it the context. */
export async function fromGsm(rows: readonly Row[], tokenizer: TextTokenizer, file: string): Promise<Row[]> {
  const read = rows.map((row, i) => {
    const where = `${file}, row ${i}`
    const sentences = stringOf(row, 'question', where).split('. ')
    const context = `${sentences.slice(0, -1).join('. ').trim()}.`
    return {
      context,
      row: {
        prompts: [context, sentences.at(-1)!.trim()],
        ground_truth: [stringOf(row, 'answer', where)],
      },
    }
  })
  const ids = await Promise.all(read.map(({ context }) => tokenizer.encode(context)))
  return read.flatMap(({ row }, i) => (ids[i]!.length < fewestTokens ? [] : [row]))
}
