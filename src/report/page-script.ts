/** What the report's page does in the browser: the ratio slider. Plain JavaScript, for it is shipped as text. */

/** Read by the script from `#hz-data`. */
export interface PageData {
  rule: 'exact' | 'published'
  sink: number
  recent: number
  /** tokens in the cache; null when unknown */
  tokens: number | null
  panels: {
    /** cells (layer * kv_heads + head), best first: those kept are always a beginning of it */
    order: number[]
    /** their scores in that order */
    scores: number[]
  }[]
}

export const pageScript = `
'use strict'
const data = JSON.parse(document.getElementById('hz-data').textContent)
const slider = document.getElementById('hz-ratio')
const groups = [...document.querySelectorAll('.hz-panel')]
const marks = groups.map((group) => [...group.querySelectorAll('.hz-mark')])
const titles = groups.map((group) => [...group.querySelectorAll('.hz-cell > title')])

function keptOf(panel, ratio) {
  const n = panel.order.length
  if (data.rule === 'exact') return Math.round(n * ratio)
  if (ratio === 1) return n
  const threshold = panel.scores[Math.max(Math.ceil(n * ratio - 1e-9) - 1, 0)]
  return panel.scores.filter((score) => score > threshold).length
}

function put(id, text) {
  document.getElementById(id).textContent = text
}

function show() {
  const ratio = Number(slider.value)
  let kept = 0
  let heads = 0
  data.panels.forEach((panel, i) => {
    heads = panel.order.length
    kept = keptOf(panel, ratio)
    panel.order.forEach((cell, rank) => {
      const evicted = rank >= kept
      marks[i][cell].setAttribute('visibility', evicted ? 'visible' : 'hidden')
      const title = titles[i][cell]
      title.textContent = title.textContent.replace(/(kept|evicted)$/, evicted ? 'evicted' : 'kept')
    })
    groups[i].querySelector('[data-hz-kept]').textContent = kept + ' of ' + heads + ' kept'
  })
  const asked = document.querySelector('[data-hz-asked]')
  asked.textContent = asked.textContent.replace(/ratio [0-9.]+/, 'ratio ' + ratio)

  const share = kept / heads
  const streaming = data.tokens === null ? null : Math.min(data.tokens, data.sink + data.recent) / data.tokens
  const effective = streaming === null ? null : share + (1 - share) * streaming
  put('hz-asked', String(ratio))
  put('hz-kept', kept + ' of ' + heads)
  put('hz-ratio-value', share.toFixed(4))
  put('hz-sparsity', (1 - share).toFixed(4))
  put('hz-compression', effective === null ? '-' : (1 - effective).toFixed(4))
  put('hz-effective', effective === null ? '-' : effective.toFixed(4))

  const cut = document.querySelector('.hz-cut')
  const [left, width] = [Number(cut.dataset.hzLeft), Number(cut.dataset.hzWidth)]
  cut.setAttribute('transform', 'translate(' + (left + share * width) + ',0)')
  const label = cut.querySelector('text')
  label.textContent = kept + ' of ' + heads + ' kept'
  label.setAttribute('x', share > 0.5 ? -6 : 6)
  label.setAttribute('text-anchor', share > 0.5 ? 'end' : 'start')
}
slider.addEventListener('input', show)
show()
`
