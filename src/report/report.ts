/** The report of one model's scores as files. */

import { join } from 'node:path'
import { check, checkOptions, writeFields } from '../check.js'
import { checkRatio } from '../errors.js'
import { checkWritable, type WriteOptions, writeFilesAtomic } from '../files/write.js'
import type { HeadScores } from '../scores/head-scores.js'
import { heatmap } from './heatmap.js'
import { type PageOptions, reportPage } from './page.js'
import { panelsOf } from './panels.js'
import { pictures } from './pictures.js'
import { renderPng } from './png.js'

export interface ReportOptions extends Partial<PageOptions>, WriteOptions {
  /** scores of another method, an imported pattern for instance, to draw and compare with */
  against?: HeadScores
  /** write the page's other pictures as files, too; default false */
  pictures?: boolean
}

export interface ReportPaths {
  svg: string
  png: string
  html: string
  /** further pictures, where they were asked for: an SVG and a PNG each */
  pictures: string[]
}

/**
 * Writes `heatmap.svg`, `heatmap.png` and `index.html`, and more pictures when asked for, all of them or none.
 * @param list scores of single samples, which are merged for the last panel, or with their merged scores among them
 * @param folder created when it is missing
 * @param options ratio 0.6 unless given
 * @throws InputError when the scores do not belong together, or a file exists and force is not set
 */
export async function writeReport(
  list: readonly HeadScores[],
  folder: string,
  options: ReportOptions = {},
): Promise<ReportPaths> {
  check(folder, 'folder', 'path')
  checkOptions(options, { ...writeFields, pictures: 'flag?' })
  const { force = false, ratio = 0.6, against, pictures: more = false, ...rest } = options
  const page = { ...rest, ratio: checkRatio(ratio) }
  const paths = {
    svg: join(folder, 'heatmap.svg'),
    png: join(folder, 'heatmap.png'),
    html: join(folder, 'index.html'),
  }
  for (const path of Object.values(paths)) await checkWritable(path, { force })
  const panels = panelsOf(list, against)
  const svg = heatmap(panels, page)
  const extra = (more ? pictures(panels, page) : []).flatMap(
    ([name, each]): [string, string | Uint8Array][] => [
      [join(folder, `${name}.svg`), each],
      [join(folder, `${name}.png`), renderPng(each)],
    ],
  )
  await writeFilesAtomic(
    [[paths.svg, svg], [paths.png, renderPng(svg)], [paths.html, reportPage(panels, page)], ...extra],
    { force },
  )
  return { ...paths, pictures: extra.map(([path]) => path) }
}
