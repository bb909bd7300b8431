// Draws reports/gallery: head scores that KVzip published next to the patterns that DuoAttention published, where both
// scored the same model. Input: test/fixtures/published, with its licences. node scripts/gallery.mjs
import { join } from 'node:path'
import { writeFilesAtomic } from '../dist/files/write.js'
import { readAnyScores } from '../dist/formats/detect.js'
import { heatmap } from '../dist/report/heatmap.js'
import { reportPage } from '../dist/report/page.js'
import { panelsOf } from '../dist/report/panels.js'
import { pictures } from '../dist/report/pictures.js'
import { compareScores } from '../dist/scores/compare.js'

const published = 'test/fixtures/published'
const out = 'reports/gallery'
const models = [
  {
    name: 'llama3.1-8b',
    title: 'Llama 3.1 8B: KVzip and DuoAttention',
    scores: ['llama3.1-8b-scbench_qa_eng-0.pt'],
    pattern: 'Meta-Llama-3.1-8B-Instruct',
  },
  {
    name: 'llama3-8b-gradient',
    title: 'Llama 3 8B Gradient 1048k: KVzip and DuoAttention',
    scores: ['duo-scbench_qa_eng-0.pt'],
    pattern: 'Llama-3-8B-Instruct-Gradient-1048k',
  },
  {
    name: 'qwen2.5-7b',
    title: 'Qwen2.5 7B: natural language, code and both',
    scores: ['qwen2.5-7b-scbench_qa_eng-0.pt', 'qwen2.5-7b-scbench_repoqa-0.pt'],
  },
  { name: 'qwen2.5-14b', title: 'Qwen2.5 14B', scores: ['qwen2.5-14b-scbench_qa_eng-0.pt'] },
]
const patterns = [
  'Llama-2-7B-32K-Instruct',
  'Llama-3-8B-Instruct-Gradient-4194k',
  'Mistral-7B-Instruct-v0.2',
  'Mistral-7B-Instruct-v0.3',
]

const options = { ratio: 0.6, tokens: 124_000 }
const files = []
const lines = [
  '# Gallery',
  '',
  'Head scores that [KVzip](https://github.com/snu-mllab/KVzip) published, and the patterns that',
  '[DuoAttention](https://github.com/mit-han-lab/duo-attention) published, both under the MIT licence (kept with the',
  'data in `test/fixtures/published`). Crosses mark the 40% of heads with the lowest scores. Each page is',
  'interactive: its slider marks other ratios. `node scripts/gallery.mjs` draws all of it.',
]
for (const { name, title, scores, pattern } of models) {
  const list = await Promise.all(scores.map((file) => readAnyScores(`${published}/kvzip/${file}`)))
  const against = pattern ? await readAnyScores(`${published}/duo/${pattern}`) : undefined
  const panels = panelsOf(list, against)
  const drawn = pictures(panels, options).filter(([file]) => /^(difference|agreement)/.test(file))
  files.push([join(out, name, 'heatmap.svg'), heatmap(panels, { ...options, title })])
  files.push([join(out, name, 'index.html'), reportPage(panels, { ...options, title })])
  for (const [file, svg] of drawn) files.push([join(out, name, `${file}.svg`), svg])
  // README's picture
  if (scores.length > 1)
    files.push([
      join(out, name, 'merged.svg'),
      heatmap(panels.slice(-1), { ...options, title: `KV heads of ${title.split(':')[0]}` }),
    ])
  lines.push(
    '',
    `## ${title}`,
    '',
    `[Interactive page](${name}/index.html)`,
    '',
    `![Head scores of ${name}](${name}/heatmap.svg)`,
  )
  if (panels.length > 1) {
    const [a, b] = pattern ? [list[0], against] : list
    const { spearman, kendall, overlap, changes } = compareScores(a, b, options)
    const words = pattern ? 'KVzip and DuoAttention' : 'Natural language and code'
    lines.push(
      '',
      `${words}: Spearman ${spearman.toFixed(3)}, Kendall ${kendall.toFixed(3)}; of the top 50% of heads ${(100 * overlap[1]).toFixed(1)}% are`,
      `shared, of the top 60% ${(100 * overlap[2]).toFixed(1)}%; ${changes.length} of ${a.max.length} heads change sides at ratio 0.6.`,
    )
  }
  for (const [file] of drawn) lines.push('', `![${file.replace('-', ' of ')}: ${name}](${name}/${file}.svg)`)
}
lines.push('', '## Patterns of other models', '')
for (const name of patterns) {
  const panels = panelsOf([await readAnyScores(`${published}/duo/${name}`)])
  files.push([
    join(out, 'patterns', `${name}.svg`),
    heatmap(panels, { ratio: 0.6, title: `DuoAttention: ${name}` }),
  ])
  lines.push(`![DuoAttention's pattern of ${name}](patterns/${name}.svg)`, '')
}
files.push([join(out, 'README.md'), `${lines.join('\n').trimEnd()}\n`])
await writeFilesAtomic(files, { force: true })
for (const [file] of files) console.log(file)
