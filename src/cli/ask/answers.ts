/** The answers of one command line, made and shown. */

import type { Progress } from '../../engine/job.js'
import type { Generation } from '../../inference/generate.js'
import type { Model } from '../../inference/model.js'
import { budgetLines } from '../budget-options.js'
import { interruptSignal } from '../interrupt.js'
import { formatBytes, formatSeconds, table } from '../output.js'
import type { Answering } from './answering.js'
import type { NamedCache } from './caches.js'

export interface Answers {
  query: string
  /** One a cache. */
  made: Generation[]
}

/**
 * @param show writes text as it comes; left out, answers are shown when all are there
 * @param onProgress counts an answer's longest length, which it may not need
 */
export async function answerAll(
  model: Model,
  caches: readonly NamedCache[],
  queries: readonly string[],
  answering: Answering,
  show: ((text: string) => void) | undefined,
  onProgress: (progress: Progress) => void,
): Promise<Answers[]> {
  const answers: Answers[] = []
  const all = queries.length * caches.length
  let done = 0
  for (const [i, query] of queries.entries()) {
    show?.(`${i > 0 ? '\n' : ''}> ${query}\n`)
    const made: Generation[] = []
    for (const { name, kv } of caches) {
      if (caches.length > 1) show?.(`${name}: `)
      const one = await model.generate(query, {
        ...answering,
        kv,
        onText: show,
        signal: interruptSignal,
        onProgress: (now) => onProgress({ done: (done + now.done) / all }),
      })
      done++
      show?.(`\n  (${speed(one)})\n`)
      made.push(one)
    }
    answers.push({ query, made })
  }
  return answers
}

export function answersAsText(caches: readonly NamedCache[], answers: readonly Answers[]): string {
  return answers
    .map(({ query, made }) => {
      const each = made.map((one, i) => {
        const label = caches.length > 1 ? `${caches[i]?.name}: ` : ''
        return `${label}${one.text}\n  (${speed(one)})`
      })
      return [`> ${query}`, ...each].join('\n')
    })
    .join('\n\n')
}

/** With the four words for what was evicted; a full cache has no need of them. */
export function cachesAsText(caches: readonly NamedCache[]): string {
  const rows = caches.map(({ name, kv }) => [
    name,
    keptOf(kv),
    formatBytes(kv.fullBytes),
    formatBytes(kv.bytes),
  ])
  const words = caches.filter(({ kv }) => kv.pruned).map(({ budget }) => budgetLines(budget))
  return [table(['cache', 'kept of the context', 'KV before', 'KV after'], rows), ...words].join('\n\n')
}

/** `14 of 24 heads` */
function keptOf({ pruned }: NamedCache['kv']): string {
  if (!pruned) return 'all'
  const unit = pruned.level === 'head' || pruned.level === 'streaming' ? 'heads' : 'pairs'
  return `${pruned.kept} of ${pruned.total} ${unit}`
}

export function asJson(caches: readonly NamedCache[], answers: readonly Answers[]): object {
  return {
    caches: caches.map(({ name, kv, budget }) => ({
      name,
      keptHeads: kv.keptHeads,
      heads: kv.model.layers * kv.model.kvHeads,
      kept: kv.pruned?.kept ?? null,
      total: kv.pruned?.total ?? null,
      bytes: kv.bytes,
      fullBytes: kv.fullBytes,
      peakBytes: kv.peakBytes,
      budget,
    })),
    answers: answers.map(({ query, made }) => ({
      query,
      answers: made.map(({ text, ids, finishReason, seed, timeToFirstToken, tokensPerSecond }, i) => ({
        cache: caches[i]?.name,
        text,
        tokens: ids.length,
        finishReason,
        seed,
        timeToFirstToken,
        tokensPerSecond,
      })),
    })),
  }
}

export function speed({ timeToFirstToken, tokensPerSecond }: Generation): string {
  const rate = tokensPerSecond > 0 ? `, ${tokensPerSecond.toFixed(0)} tokens/s` : ''
  return `${formatSeconds(timeToFirstToken)} to the first token${rate}`
}
