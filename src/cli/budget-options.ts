/** Options of commands that turn scores into a budget, and how a budget is printed: the four words together. */

import type { Options } from 'yargs'
import { parseRatio } from '../eval/ratios.js'
import { type Budget, type BudgetOptions, budgetOf, budgetRows } from '../scores/budget.js'
import type { HeadScores } from '../scores/head-scores.js'
import type { SelectionRule } from '../scores/select.js'
import { aligned } from './table.js'

export const budgetOptions = {
  ratio: {
    type: 'string',
    default: '0.6',
    describe: 'Share of KV heads that keep their context, as 0.6 or 60%',
  },
  selection: {
    choices: ['exact', 'published'] as const satisfies readonly SelectionRule[],
    default: 'exact' as SelectionRule,
    describe: "Keep exactly that share, or follow the published rule's threshold",
  },
  sink: { type: 'number', default: 128, describe: 'First tokens that a streaming head keeps' },
  recent: { type: 'number', default: 256, describe: 'Latest tokens that a streaming head keeps' },
  tokens: { type: 'number', describe: 'Context length of the budget (default: as scored)' },
} as const satisfies Record<string, Options>

interface BudgetArguments {
  ratio: string
  selection: SelectionRule
  sink: number
  recent: number
  tokens: number | undefined
}

export function budgetFrom(args: BudgetArguments): BudgetOptions & { rule: SelectionRule } {
  const { ratio, selection, sink, recent, tokens } = args
  return { ratio: parseRatio(ratio), rule: selection, sink, recent, ...(tokens && { tokens }) }
}

export function budgetText(scores: HeadScores, options: BudgetOptions): string {
  return budgetLines(budgetOf(scores, options).budget)
}

/** As `formatBudget` says it, within the terminal. */
export function budgetLines(budget: Budget): string {
  return aligned(budgetRows(budget))
}
