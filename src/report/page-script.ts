/** What the report's page does in the browser. Plain JavaScript, for it is shipped as text. */

/** Read by the script from `#hz-data`. */
export interface PageData {
  rule: 'exact' | 'published'
  sink: number
  recent: number
  /** tokens in the cache; null when unknown */
  tokens: number | null
  kvHeads: number
  layerIds: number[]
  /** index of the panel that the budget is of */
  main: number
  panels: {
    name: string
    /** cells (layer * kv_heads + head), best first: those kept are always a beginning of it */
    order: number[]
    /** their scores in that order */
    scores: number[]
  }[]
  /** panels whose difference and scatter are drawn, as `#pair-0`, `#pair-1`, … */
  pairs: { a: number; b: number }[]
  /** looks of a scatter's marks: kept by both, by a only, by b only, by neither */
  kinds: { name: string; colour: string; path: string; open: boolean }[]
}

export const pageScript = `
'use strict'
const data = JSON.parse(document.getElementById('hz-data').textContent)
const all = (root, selector) => [...root.querySelectorAll(selector)]
const slider = document.getElementById('hz-ratio')
const readout = document.getElementById('hz-readout')
const groups = all(document, '#hz-heatmap .hz-panel')
const marks = groups.map((group) => all(group, '.hz-mark'))
const titles = groups.map((group) => all(group, '.hz-cell > title'))
const bars = all(document, '.hz-bar')
const pairs = data.pairs.map((pair, i) => {
  const root = document.getElementById('pair-' + i)
  return {
    ...pair,
    crosses: all(root, '.hz-cell .hz-mark'),
    titles: all(root, '.hz-cell > title'),
    dots: all(root, '[data-hz-dot]'),
    counts: all(root, '[data-hz-sides]'),
    asked: all(root, '[data-hz-asked]'),
  }
})

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

function setRatio(element, ratio) {
  element.textContent = element.textContent.replace(/ratio [0-9.]+/, 'ratio ' + ratio)
}

function show() {
  const ratio = Number(slider.value)
  const kept = data.panels.map((panel) => keptOf(panel, ratio))
  const keeps = data.panels.map((panel, i) => {
    const flags = []
    panel.order.forEach((cell, rank) => { flags[cell] = rank < kept[i] })
    return flags
  })
  keeps.forEach((flags, i) => {
    flags.forEach((keep, cell) => {
      marks[i][cell].setAttribute('visibility', keep ? 'hidden' : 'visible')
      const title = titles[i][cell]
      title.textContent = title.textContent.replace(/(kept|evicted)$/, keep ? 'kept' : 'evicted')
    })
    groups[i].querySelector('[data-hz-kept]').textContent = kept[i] + ' of ' + flags.length + ' kept'
  })
  setRatio(document.querySelector('#hz-heatmap [data-hz-asked]'), ratio)
  showBudget(ratio, kept[data.main], keeps[data.main].length)
  showProfile(keeps[data.main])
  for (const pair of pairs) showPair(pair, ratio, keeps[pair.a], keeps[pair.b])
  if (at) tell(at.panel, at.cell)
}

function showBudget(ratio, kept, heads) {
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

function showProfile(flags) {
  bars.forEach((bar, row) => {
    const kept = flags.slice(row * data.kvHeads, (row + 1) * data.kvHeads).filter(Boolean).length
    const [base, full] = [Number(bar.dataset.hzBase), Number(bar.dataset.hzFull)]
    const height = (full * kept) / data.kvHeads
    bar.setAttribute('y', base - height)
    bar.setAttribute('height', height)
    const title = bar.querySelector('title')
    title.textContent = title.textContent.replace(/[0-9]+ of [0-9]+/, kept + ' of ' + data.kvHeads)
  })
}

function showPair(pair, ratio, inA, inB) {
  let sides = 0
  inA.forEach((keep, cell) => {
    const other = keep !== inB[cell]
    if (other) sides++
    pair.crosses[cell].setAttribute('visibility', other ? 'visible' : 'hidden')
    const keeper = data.panels[keep ? pair.a : pair.b].name
    const title = pair.titles[cell]
    title.textContent = title.textContent.replace(/(, kept in .* only)?$/, other ? ', kept in ' + keeper + ' only' : '')
    const kind = data.kinds[keep ? (inB[cell] ? 0 : 1) : inB[cell] ? 2 : 3]
    const dot = pair.dots[cell]
    dot.setAttribute('d', kind.path)
    dot.setAttribute('class', 'hz-kind-' + data.kinds.indexOf(kind))
    dot.setAttribute('fill', kind.open ? 'none' : kind.colour)
    dot.setAttribute('stroke', kind.colour)
    const dotTitle = dot.querySelector('title')
    dotTitle.textContent = dotTitle.textContent.replace(/, [a-z ]+$/, ', ' + kind.name)
  })
  for (const text of pair.counts) text.textContent = text.textContent.replace(/[0-9]+ of [0-9]+ change/, sides + ' of ' + inA.length + ' change')
  for (const text of [...pair.counts, ...pair.asked]) setRatio(text, ratio)
}

let at = null

function tell(panel, cell) {
  for (const marked of all(document, '.hz-at')) marked.classList.remove('hz-at')
  const element = all(groups[panel], '.hz-cell')[cell]
  element.classList.add('hz-at')
  at = { panel, cell }
  readout.textContent = data.panels[panel].name + ', ' + titles[panel][cell].textContent
}

const steps = { ArrowLeft: -data.kvHeads, ArrowRight: data.kvHeads, ArrowUp: -1, ArrowDown: 1 }
groups.forEach((group, panel) => {
  const heads = data.panels[panel].order.length
  group.addEventListener('focus', () => tell(panel, at && at.panel === panel ? at.cell : 0))
  group.addEventListener('keydown', (event) => {
    const step = steps[event.key]
    if (step === undefined) return
    event.preventDefault()
    const cell = (at && at.panel === panel ? at.cell : 0)
    const inColumn = Math.floor((cell + step) / data.kvHeads) === Math.floor(cell / data.kvHeads)
    const next = cell + step
    if (next < 0 || next >= heads || (Math.abs(step) === 1 && data.kvHeads > 1 && !inColumn)) return
    tell(panel, next)
  })
  group.addEventListener('pointerover', (event) => {
    const cell = event.target.closest('.hz-cell')
    if (cell) tell(panel, Number(cell.dataset.hzCell))
  })
})
slider.addEventListener('input', show)
show()
`
