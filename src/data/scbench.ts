/**
 * The original layout of microsoft/SCBench, `context` (or `input`) and `multi_turns`, turned into that of the
 * preprocessed sets: `prompts` and `ground_truth`, with the words that SCBench puts around them when every question
 * is asked of the context alone (MInference, scbench/eval_utils.py).
 */

import { InputError } from '../errors.js'
import { type Row, rowsOf, stringOf, stringsOf } from './rows.js'

interface Wording {
  context: (context: string, turns: readonly Row[], where: string) => string
  question: (turn: Row, where: string) => string
}

const asWritten: Wording = {
  context: (context) => context,
  question: (turn, where) => stringOf(turn, 'input', where),
}

const introduced = (words: string): Wording => ({
  ...asWritten,
  context: (context) => `${words}\n\n${context}`,
})

const wordings: Readonly<Record<string, Wording>> = {
  kv: introduced('Extract the value corresponding to the specified key in the JSON object below.'),
  repoqa: introduced(
    'Based on the function description and code context, please retrieve and repeat the exact described function ' +
      'from the code context in a code block wrapped by ```:',
  ),
  qa_eng: {
    ...introduced('Read the book and answer the question. Be very concise in your answer.'),
    question: (turn, where) => `Question: ${stringOf(turn, 'input', where)}\nAnswer:`,
  },
  choice_eng: {
    ...introduced('Read the book and answer the question.'),
    question: choiceQuestion,
  },
  mf: {
    context: (context, turns, where) => `${stringOf(turns[0]!, 'input', where)}\n\n${context}`,
    question: (turn, where) => {
      const input = stringOf(turn, 'input', where)
      const target = /The .+ is/.exec(input)?.[0].toLowerCase().slice(0, -3)
      if (target === undefined)
        throw new InputError(`${where}: a question of scbench_mf must say 'The ... is', it is '${input}'`)
      return `What is ${target}?\n\n${input}`
    },
  },
}

/** @param data `scbench_kv_tiny`; sets without words of their own are taken as they are written */
export function fromMultiTurns(row: Row, data: string, where: string): Row {
  const task = /^scbench_(.*?)(?:_tiny|_short|_mid)?$/.exec(data)?.[1] ?? ''
  const wording = Object.hasOwn(wordings, task) ? wordings[task]! : asWritten
  const turns = rowsOf(row, 'multi_turns', where)
  if (turns.length === 0) throw new InputError(`${where}: multi_turns is empty, there is nothing to ask`)
  const context = stringOf(row, 'context' in row ? 'context' : 'input', where)
  const each = (column: string): unknown[] => turns.map((turn) => turn[column])
  const turnWhere = (i: number): string => `${where}, turn ${i}`
  return {
    prompts: [
      wording.context(context, turns, turnWhere(0)),
      ...turns.map((turn, i) => wording.question(turn, turnWhere(i))),
    ],
    ground_truth: each('answer'),
    ...('task' in turns[0]! && { task: each('task') }),
    ...('lang' in row && { lang: row.lang }),
    ...('repo' in row && { repo: row.repo }),
    ...functionNames(row, turns),
  }
}

function choiceQuestion(turn: Row, where: string): string {
  const options = stringsOf(turn, 'options', where)
  if (options.length !== 4) throw new InputError(`${where}: options must be four, they are ${options.length}`)
  const lines = options.map((option, i) => `${'ABCD'[i]}. ${option}`)
  // "The the" is SCBench's own
  return [`Question: ${stringOf(turn, 'input', where)}`, ...lines, '', 'The the correct answer is'].join('\n')
}

/** SCBench names the function in the turn (`name`) or in the row (`func_name`). */
function functionNames(row: Row, turns: readonly Row[]): Row {
  if ('func_name' in row) return { func_name: row.func_name }
  return 'name' in turns[0]! ? { func_name: turns.map((turn) => turn.name) } : {}
}
