import { InputError } from '../errors.js'
import { type Row, rowsOf, stringOf, stringsOf } from './rows.js'

export const squadColumns = ['context', 'question', 'answers'] as const

/** SQuAD's rows, one a question, gathered by their context in the order of first sight, as KVzip does. */
export function fromSquad(rows: readonly Row[], file: string): Row[] {
  const byContext = new Map<string, { prompts: string[]; ground_truth: string[] }>()
  for (const [i, row] of rows.entries()) {
    const where = `${file}, row ${i}`
    const context = stringOf(row, 'context', where)
    const [answers] = rowsOf({ answers: [row.answers] }, 'answers', where)
    const answer = stringsOf(answers!, 'text', `${where}, answers`)[0]
    if (answer === undefined) throw new InputError(`${where}: answers.text is empty`)
    const gathered = byContext.get(context) ?? { prompts: [context], ground_truth: [] }
    gathered.prompts.push(stringOf(row, 'question', where))
    gathered.ground_truth.push(answer)
    byContext.set(context, gathered)
  }
  return [...byContext.values()]
}
