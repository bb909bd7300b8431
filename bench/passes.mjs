// How many passes a model needs: cheaper sweeps, contexts cut short, early stops and other texts against the published
// procedure, by ranking and by answers: node bench/passes.mjs [MODEL] [CHUNK_SIZE]. The tables of docs/how-many-passes.md.

import { measureAccuracy } from '../dist/eval/accuracy.js'
import {
  loadModel,
  mergeScores,
  randomHeads,
  readSample,
  scoreHeads,
  selectHeads,
  spearman,
  topShareOverlap,
} from '../dist/index.js'

const [path = 'nano', size = '500'] = process.argv.slice(2)
const chunkSize = Number(size)
const sets = ['sample_qa_eng', 'sample_repoqa']
const model = await loadModel(path)

async function score(options, index = 0, data = sets) {
  const scores = []
  for (const name of data) scores.push(await scoreHeads(model, { data: name, index, chunkSize, ...options }))
  const seconds = scores.reduce((sum, each) => sum + each.seconds, 0)
  const saved = scores.map((each) => (each.stopped ? each.stopped.saved : 0))
  // Sweeps are recorded with scores so that nobody mixes them; here each is merged with its own kind.
  return { merged: mergeScores(scores), seconds, saved }
}

const variants = [
  ['full, as published', () => score({})],
  ['sweep chunk', () => score({ sweep: 'chunk' })],
  ['sweep block', () => score({ sweep: 'block' })],
  ['first 2,000 tokens', () => score({ maxContext: 2000 })],
  ['first 1,000 tokens', () => score({ maxContext: 1000 })],
  ['until stable, 0.995', () => score({ untilStable: { spearman: 0.995 } })],
  ['natural language only', () => score({}, 0, sets.slice(0, 1))],
  ['code only', () => score({}, 0, sets.slice(1))],
  ['another text and code', () => score({}, 1)],
]
const results = []
for (const [name, run] of variants) {
  const result = { name, ...(await run()) }
  results.push(result)
  const { merged } = results[0]
  const agreement = [spearman(merged.max, result.merged.max), topShareOverlap(merged, result.merged, 0.6)]
  Object.assign(result, { agreement })
  console.log(
    name,
    ...agreement.map((each) => each.toFixed(3)),
    `${result.seconds.toFixed(1)} s`,
    result.saved,
  )
}

const samples = []
for (const data of sets) for (const index of [2, 3]) samples.push(await readSample(data, index))
const arms = [{ name: 'full cache', keep: null }]
for (const { name, merged } of results)
  for (const ratio of [0.6, 0.3])
    arms.push({ name: `${name} @ ${ratio}`, keep: selectHeads(merged, { ratio }).keep })
for (const ratio of [0.6, 0.3])
  for (const seed of [0, 1, 2])
    arms.push({ name: `random heads ${seed} @ ${ratio}`, keep: randomHeads(results[0].merged, ratio, seed) })
const questionsOf = (sample) => (sample.funcNames ? 3 : 8)
const accuracy = await measureAccuracy(model, samples, arms, { questionsOf })
for (const arm of arms) {
  const found = accuracy.filter((each) => each.arm === arm.name)
  console.log(
    arm.name,
    ...found.map((each) => `${each.data} ${(100 * each.accuracy).toFixed(1)}% of ${each.questions}`),
  )
}
model.close()
