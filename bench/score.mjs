// Scoring of the embedded model against PyTorch on the same cores, in turn: node bench/score.mjs [ROUNDS] [TOKENS]
// PYTHON names an interpreter with torch and transformers; build first (npm run setup).
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const [rounds = 3, tokens = 6000] = process.argv.slice(2).map(Number)
const last = (text) => JSON.parse(text.trim().split('\n').at(-1))
const run = (command, args) =>
  last(execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))

const ours = { full: [], chunk: [], block: [] }
const theirs = []
for (let round = 0; round < rounds; round++) {
  for (const sweep of Object.keys(ours))
    ours[sweep].push(run(process.execPath, [here('score_headzip.mjs'), sweep, tokens]))
  theirs.push(run(process.env.PYTHON ?? 'python3', [here('score_torch.py'), here('../models/nano'), tokens]))
}
const median = (list, key) => list.map((each) => each[key]).sort((a, b) => a - b)[Math.floor(list.length / 2)]
const torch = { seconds: median(theirs, 'seconds'), rss: median(theirs, 'peak_rss_mib') }
console.log(`${tokens} tokens, median of ${rounds} rounds in turn`)
console.log(`torch fp32   ${torch.seconds.toFixed(2)} s  ${torch.rss} MiB`)
for (const [sweep, list] of Object.entries(ours)) {
  const seconds = median(list, 'seconds')
  const rss = median(list, 'peak_rss_mib')
  const faster = (torch.seconds / seconds).toFixed(1)
  console.log(
    `ours ${sweep.padEnd(7)} ${seconds.toFixed(2)} s  ${rss} MiB  ${faster}x faster, ${((100 * rss) / torch.rss).toFixed(0)}% of its memory`,
  )
}
