// One scoring run on random ids, the same work as score_torch.py: node bench/score_headzip.mjs [SWEEP] [TOKENS]
import { loadModel } from '../dist/index.js'

const [sweep = 'full', count = '6000'] = process.argv.slice(2)
const tokens = Number(count)
const model = await loadModel('nano')
let state = 1
const random = (n) =>
  Int32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return 3 + (state % 4000)
  })
const contextIds = random(tokens)
const chunks = []
for (let start = 0; start < tokens; start += 2000) {
  const end = Math.min(start + 2000, tokens)
  chunks.push({ start, end, ids: Int32Array.from([...random(30), ...contextIds.subarray(start, end)]) })
}
const { seconds, peakBytes } = await model.scorePairs({ prefixIds: random(40), contextIds, chunks, sweep })
const peak_rss_mib = Math.round(process.resourceUsage().maxRSS / 1024)
console.log(
  JSON.stringify({ tokens, sweep, seconds, engine_mib: Math.round(peakBytes / 2 ** 20), peak_rss_mib }),
)
